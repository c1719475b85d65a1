package describe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/throng/throng/streams"
)

// Config is what the tables do not know.
type Config struct {
	Version     string               // of the server
	Subprotocol string               // of the WebSocket
	Statuses    map[streams.Code]int // the HTTP status of each refusal
}

// Documents is the two descriptions, ready to be served. It is immutable.
type Documents struct {
	HTTP      http.Handler // OpenAPI 3.1
	WebSocket http.Handler // AsyncAPI 3.0
}

// New builds both documents.
func New(config Config) Documents {
	return Documents{
		HTTP:      newDocument(openAPI(config.Version, config.Statuses)),
		WebSocket: newDocument(asyncAPI(config.Version, config.Subprotocol)),
	}
}

// document is bytes that do not change while the process lives.
type document struct {
	body []byte
	etag string
}

// newDocument writes a document of this package. None of its types can fail to
// become JSON.
func newDocument(content any) *document {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(content); err != nil {
		panic("describe: " + err.Error())
	}
	sum := sha256.Sum256(b.Bytes())
	return &document{body: b.Bytes(), etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
}

// ServeHTTP lets clients keep it and ask whether it is still that: the next
// version of the server may answer at the same address.
func (d *document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", d.etag)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
}
