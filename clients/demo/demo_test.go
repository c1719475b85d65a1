package demo

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// get asks the handler and returns the answer with its body read.
func get(tb testing.TB, method, target string, header http.Header) (*http.Response, string) {
	tb.Helper()
	r := httptest.NewRequest(method, target, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	answer := w.Result()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		tb.Fatalf("read the answer to %s %s: %v", method, target, err)
	}
	return answer, string(body)
}

func TestFilesAreServedWithTheirTypes(t *testing.T) {
	for target, want := range map[string]string{
		"/":           "text/html; charset=utf-8",
		"/index.html": "text/html; charset=utf-8",
		"/app.js":     "text/javascript; charset=utf-8",
		"/style.css":  "text/css; charset=utf-8",
		"/icon.svg":   "image/svg+xml",
	} {
		answer, body := get(t, http.MethodGet, target, nil)
		if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || got != want || body == "" {
			t.Errorf("%s: got %d %q with %d bytes, want 200 %q", target, answer.StatusCode, got, len(body), want)
		}
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	for _, target := range []string{"/", "/app.js", "/style.css", "/nothing"} {
		answer, _ := get(t, http.MethodGet, target, nil)
		for name, want := range map[string]string{
			"Content-Security-Policy": contentSecurityPolicy,
			"X-Content-Type-Options":  "nosniff",
			"Cache-Control":           "no-cache",
			"Referrer-Policy":         "no-referrer",
		} {
			// http.NotFound takes Cache-Control away, which is right: there is nothing to keep.
			if got := answer.Header.Get(name); got != want && (name != "Cache-Control" || answer.StatusCode == http.StatusOK) {
				t.Errorf("%s: got %s %q, want %q", target, name, got, want)
			}
		}
	}
	if strings.Contains(contentSecurityPolicy, "unsafe") || strings.Contains(contentSecurityPolicy, "*") {
		t.Errorf("the policy has a hole: %s", contentSecurityPolicy)
	}
}

func TestOtherPathsAndMethodsAreRefused(t *testing.T) {
	for _, target := range []string{"/nothing", "/web/app.js", "/web/", "/../demo.go", "/app.js/", "//app.js"} {
		if answer, _ := get(t, http.MethodGet, target, nil); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", target, answer.StatusCode)
		}
	}
	answer, _ := get(t, http.MethodPost, "/", nil)
	if got := answer.Header.Get("Allow"); answer.StatusCode != http.StatusMethodNotAllowed || got != "GET, HEAD" {
		t.Errorf("POST /: got %d, Allow %q, want 405, GET and HEAD", answer.StatusCode, got)
	}
	if answer, body := get(t, http.MethodHead, "/", nil); answer.StatusCode != http.StatusOK || body != "" {
		t.Errorf("HEAD /: got %d with %d bytes, want 200 with none", answer.StatusCode, len(body))
	}
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	first, _ := get(t, http.MethodGet, "/app.js", nil)
	etag := first.Header.Get("ETag")
	again, body := get(t, http.MethodGet, "/app.js", http.Header{"If-None-Match": {etag}})
	if etag == "" || again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("got ETag %q, then %d with %d bytes, want 304 with none", etag, again.StatusCode, len(body))
	}
}

// The policy refuses all of this in a browser; here it is found before.
var (
	inlineScript  = regexp.MustCompile(`(?is)<script(?:\s[^>]*)?>\s*[^\s<]`)
	inlineHandler = regexp.MustCompile(`(?i)<[^>]+\s(?:on[a-z]+|style)\s*=`)
	inlineStyle   = regexp.MustCompile(`(?i)<style|javascript:`)
	markup        = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment|srcdoc`)
	reference     = regexp.MustCompile(`(?:\b(?:src|href)="|\bfrom ')([^"']+)["']`)
)

func TestPageHasNoInlineCode(t *testing.T) {
	_, page := get(t, http.MethodGet, "/", nil)
	for _, forbidden := range []*regexp.Regexp{inlineScript, inlineHandler, inlineStyle} {
		if found := forbidden.FindString(page); found != "" {
			t.Errorf("index.html holds %q", found)
		}
	}
}

func TestScriptsNeverInsertMarkup(t *testing.T) {
	scripts, err := fs.Glob(web, "web/*.js")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range scripts {
		body, err := web.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := markup.FindString(string(body)); found != "" {
			t.Errorf("%s uses %q; text goes in as text", name, found)
		}
	}
}

func TestEveryFileThatIsReferredToIsThere(t *testing.T) {
	files, err := fs.Glob(web, "web/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		body, err := web.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if ext := path.Ext(name); ext != ".html" && ext != ".js" {
			continue
		}
		for _, match := range reference.FindAllStringSubmatch(string(body), -1) {
			if answer, _ := get(t, http.MethodGet, "/"+path.Clean(match[1]), nil); answer.StatusCode != http.StatusOK {
				t.Errorf("%s refers to %s, which is not served: %d", name, match[1], answer.StatusCode)
			}
		}
	}
}
