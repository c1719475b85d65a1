package describe_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/throng/throng/edge/describe"
	"github.com/throng/throng/edge/describe/describetest"
	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

var update = flag.Bool("update", false, "rewrite docs/api.md")

// config is an edge's.
var config = describe.Config{Version: "1.2.3", Subprotocol: "throng.v1.json", Statuses: map[streams.Code]int{
	streams.BadRequest: 400, streams.NotFound: 404, streams.Unavailable: 503,
}}

// socketOnly is what an edge does not do over HTTP.
var socketOnly = []wire.Name{wire.Connect, wire.Subscribe, wire.Unsubscribe}

func body(t testing.TB, handler http.Handler) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("got %d", w.Code)
	}
	return w.Body.Bytes()
}

// contract is what the tables say.
func contract(t testing.TB) *describetest.Contract {
	t.Helper()
	d := describe.New(config)
	return describetest.New(t, body(t, d.HTTP), body(t, d.WebSocket))
}

func TestAnEdgeServesItsDescription(t *testing.T) {
	s := edgetest.New(t)
	for _, path := range []string{"/v1/openapi.json", "/v1/asyncapi.json"} {
		ask := func(etag string) *http.Response {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Edge.Addr().String()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("If-None-Match", etag)
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			return response
		}
		first := ask(`"another"`)
		h := first.Header
		if first.StatusCode != 200 || h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-cache" || h.Get("ETag") == "" {
			t.Errorf("%s: %s %v", path, first.Status, h)
		}
		if again := ask(h.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", path, again.Status)
		}
	}
	c := describetest.Load(t, s.Edge.Addr().String())
	if version := c.Document(describetest.OpenAPI)["info"].(map[string]any)["version"]; version != "1.2.3" {
		t.Errorf("the version is %v", version)
	}
	s.OK(t, "dev:alice", "ping", "{}") // the documents stand beside the commands
}

func TestEveryCommandIsDescribed(t *testing.T) {
	c := contract(t)
	paths := c.Document(describetest.OpenAPI)["paths"].(map[string]any)
	operations := c.Document(describetest.AsyncAPI)["operations"].(map[string]any)
	for _, name := range wire.Names {
		if _, there := paths["/v1/"+string(name)]; there == slices.Contains(socketOnly, name) {
			t.Errorf("%s over HTTP: %v", name, there)
		}
		if operations[string(name)] == nil {
			t.Errorf("%s over the WebSocket is missing", name)
		}
	}
	if got, want := len(paths), len(wire.Names)-len(socketOnly)+5; got != want {
		t.Errorf("%d paths, want %d", got, want)
	}
	if got, want := len(operations), len(wire.Names)+6; got != want {
		t.Errorf("%d operations, want %d", got, want)
	}
}

// Every reference leads somewhere, and every component is a schema by the
// meta-schema of its dialect.
func TestTheSchemasAreSchemas(t *testing.T) {
	c := contract(t)
	shared := c.Document(describetest.AsyncAPI)["components"].(map[string]any)["schemas"].(map[string]any)
	for name, component := range c.Document(describetest.OpenAPI)["components"].(map[string]any)["schemas"].(map[string]any) {
		if !reflect.DeepEqual(component, shared[name]) {
			t.Errorf("%s differs between the documents", name)
		}
	}
	for at, meta := range map[string]string{
		describetest.OpenAPI:  "https://json-schema.org/draft/2020-12/schema",
		describetest.AsyncAPI: "http://json-schema.org/draft-07/schema#",
	} {
		schema := jsonschema.NewCompiler().MustCompile(meta)
		components := c.Document(at)["components"].(map[string]any)
		for name, component := range components["schemas"].(map[string]any) {
			if err := schema.Validate(component); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		messages, _ := components["messages"].(map[string]any)
		for name, message := range messages {
			if err := schema.Validate(message.(map[string]any)["payload"]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, to := range references(c.Document(at)) {
			if !c.Leads(at, to) {
				t.Errorf("%s leads nowhere", to)
			}
		}
	}
}

func references(value any) (all []string) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if to, ok := inner.(string); ok && key == "$ref" {
				all = append(all, to)
			}
			all = append(all, references(inner)...)
		}
	case []any:
		for _, inner := range v {
			all = append(all, references(inner)...)
		}
	}
	return all
}

// The catalogue of errors, the edge's statuses and the documents say the same.
func TestRefusalsAreThoseOfTheCatalogue(t *testing.T) {
	s := edgetest.New(t)
	c := describetest.Load(t, s.Edge.Addr().String())
	catalogue, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9]{3}) \\|").FindAllStringSubmatch(string(catalogue), -1)
	if len(rows) != len(regexp.MustCompile(`(?m)^\t[A-Za-z]+ +Code = "`).FindAllString(source(t, "../../streams/rejection.go"), -1)) {
		t.Errorf("the catalogue has %d codes", len(rows))
	}
	for _, row := range rows {
		status, _ := strconv.Atoi(row[2])
		refused := []byte(`{"error":{"code":"` + row[1] + `","message":"m","retry_ms":1,"current":{"k":{"v":0},"l":{"value":"","v":1}}}}`)
		for other := 400; other < 600; other++ {
			if err := c.Answer("send", other, refused); (err == nil) != (other == status) {
				t.Errorf("%s with %d: %v", row[1], other, err)
			}
		}
	}
	if unmet := c.Unmet("schemas/error"); len(unmet) > 0 {
		t.Error(unmet)
	}
}

func TestCloseCodesAreThoseOfTheCatalogueAndTheCode(t *testing.T) {
	channel := contract(t).Document(describetest.AsyncAPI)["channels"].(map[string]any)["session"].(map[string]any)
	told := map[string]bool{}
	for _, c := range channel["x-close-codes"].([]any) {
		told[string(c.(map[string]any)["code"].(json.Number))] = true
	}
	pattern := regexp.MustCompile(`(?m)^\tclose[A-Za-z]+ += ([0-9]{4})$`)
	inCode := pattern.FindAllStringSubmatch(source(t, "../session/session.go"), -1)
	inDocs := regexp.MustCompile(`(?m)^\| ([0-9]{4}) \|`).FindAllStringSubmatch(source(t, "../../docs/errors.md"), -1)
	if len(inCode) < 5 || len(inDocs) != len(told) {
		t.Errorf("%d codes in the code, %d in docs/errors.md, %d described", len(inCode), len(inDocs), len(told))
	}
	for _, code := range append(inCode, inDocs...) {
		if !told[code[1]] {
			t.Errorf("%s is not described", code[1])
		}
	}
}

func TestTheTablesAreDocumented(t *testing.T) {
	const file = "../../docs/api.md"
	want := describe.Table()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if source(t, file) != want {
		t.Errorf("%s is not what the code says: go test ./edge/describe -run TablesAreDocumented -update", file)
	}
}

func source(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}
