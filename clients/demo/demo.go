package demo

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed web
var web embed.FS

// contentSecurityPolicy allows the page's own files and sockets and nothing else. Sockets name their schemes because not
// every browser takes 'self' for them.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes names the type of every kind of file in web. The system's own table of types is not asked: it differs
// between machines, and browsers refuse a module of the wrong type.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// page is one file as it is served.
type page struct {
	body string
	kind string // Content-Type
	etag string
}

// Handler serves the page at "/" and its files beside it, to GET and HEAD; every other path is 404. Files are
// revalidated at each use, so that a new server never meets an old page.
func Handler() http.Handler {
	pages := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		p, ok := pages[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", p.kind)
		h.Set("ETag", p.etag)
		// An embedded file has no time; ServeContent answers If-None-Match from the ETag.
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(p.body))
	})
}

// load reads the embedded files by their names. An error is a broken build, which the package's test finds.
func load() map[string]page {
	files, err := fs.Glob(web, "web/*")
	if err != nil {
		panic(err)
	}
	pages := make(map[string]page, len(files))
	for _, file := range files {
		body, err := web.ReadFile(file)
		if err != nil {
			panic(err)
		}
		kind, ok := contentTypes[path.Ext(file)]
		if !ok {
			panic("clients/demo: no content type for " + file)
		}
		sum := sha256.Sum256(body)
		pages[path.Base(file)] = page{body: string(body), kind: kind, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return pages
}
