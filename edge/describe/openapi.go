package describe

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// The parts of an OpenAPI document, as far as this one has them.
type (
	openDocument struct {
		OpenAPI    string              `json:"openapi"`
		Info       info                `json:"info"`
		Servers    []openServer        `json:"servers"`
		Security   []map[string][]none `json:"security"`
		Tags       []openTag           `json:"tags"`
		Paths      map[string]openPath `json:"paths"`
		Components openComponents      `json:"components"`
	}
	info struct {
		Title       string  `json:"title"`
		Version     string  `json:"version"`
		Description string  `json:"description"`
		License     license `json:"license"`
	}
	license struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	}
	none       struct{}
	openServer struct {
		URL string `json:"url"`
	}
	openTag struct {
		Name  string `json:"name"`
		About string `json:"description"`
	}
	openPath struct {
		Get  *operation `json:"get,omitempty"`
		Post *operation `json:"post,omitempty"`
	}
	operation struct {
		ID        string               `json:"operationId"`
		Summary   string               `json:"summary"`
		Tags      []string             `json:"tags"`
		Security  *[]none              `json:"security,omitempty"` // empty: no token
		Body      *openBody            `json:"requestBody,omitempty"`
		Responses map[string]*response `json:"responses"`
	}
	openBody struct {
		Required bool               `json:"required"`
		Content  map[string]content `json:"content"`
	}
	content struct {
		Schema *schema `json:"schema"`
	}
	response struct {
		Ref     string             `json:"$ref,omitempty"`
		About   string             `json:"description,omitempty"`
		Headers map[string]header  `json:"headers,omitempty"`
		Content map[string]content `json:"content,omitempty"`
	}
	header struct {
		About  string  `json:"description"`
		Schema *schema `json:"schema"`
	}
	openComponents struct {
		Schemas   map[string]*schema   `json:"schemas"`
		Responses map[string]*response `json:"responses"`
		Security  map[string]scheme    `json:"securitySchemes"`
	}
	scheme struct {
		Type   string `json:"type"`
		Scheme string `json:"scheme"`
		Format string `json:"bearerFormat"`
		About  string `json:"description"`
	}
)

const (
	jsonType  = "application/json"
	plainText = "text/plain"
)

var apache = license{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"}

func openAPI(version string, statuses map[streams.Code]int) *openDocument {
	d := &openDocument{
		OpenAPI: "3.1.0",
		Info: info{Title: "Throng over HTTP", Version: version, License: apache, Description: "Commands, one at a time. " +
			"connect, subscribe and unsubscribe take the WebSocket, which /v1/asyncapi.json describes. " +
			"null is the same as absent, numbers are digits only, fields a command does not know are ignored. " +
			fmt.Sprintf("A body may have %d bytes.", wire.MaxFrame)},
		Servers:  []openServer{{URL: "/"}},
		Security: []map[string][]none{{"bearer": {}}},
		Tags:     []openTag{{"commands", "what clients and back ends ask"}, {"operation", "what who runs it asks"}},
		Paths:    map[string]openPath{},
		Components: openComponents{
			Schemas: map[string]*schema{}, Responses: refusals(statuses),
			Security: map[string]scheme{"bearer": {Type: "http", Scheme: "bearer", Format: "JWT", About: "sub is the user, exp is required; " +
				"a claim throng of {\"server\":true} makes it a back end's, which skips membership and roles and may name a user with as"}},
		},
	}
	for _, part := range components() {
		d.Components.Schemas[part.name] = part.schema
	}
	all := commands()
	for i := range all {
		if c := &all[i]; !c.socket {
			d.Components.Schemas[commandName(c.name)] = c.request()
			d.Components.Schemas[answerName(c.name)] = c.answer
			d.Paths["/v1/"+string(c.name)] = openPath{Post: c.operation(statuses)}
		}
	}
	d.operate()
	return d
}

// How the components call a command's object and answer.
func commandName(name wire.Name) string { return string(name) + "_command" }
func answerName(name wire.Name) string  { return string(name) + "_answer" }

func inJSON(s *schema) map[string]content { return map[string]content{jsonType: {Schema: s}} }

func (c *command) operation(statuses map[streams.Code]int) *operation {
	o := &operation{
		ID: string(c.name), Summary: c.about, Tags: []string{"commands"},
		Body:      &openBody{Content: inJSON(ref(commandName(c.name)))},
		Responses: map[string]*response{"200": {About: "done", Content: inJSON(ref(answerName(c.name)))}},
	}
	for _, f := range c.fields {
		o.Body.Required = o.Body.Required || f.required
	}
	order, _ := byStatus(statuses)
	for _, status := range order {
		o.Responses[strconv.Itoa(status)] = &response{Ref: "#/components/responses/" + statusName(status)}
	}
	return o
}

// statusName is how the components call an HTTP status.
func statusName(status int) string {
	return strings.ToLower(strings.ReplaceAll(http.StatusText(status), " ", "_"))
}

// refusals is an answer for each status, with the codes that have it.
func refusals(statuses map[streams.Code]int) map[string]*response {
	all := map[string]*response{}
	order, codes := byStatus(statuses)
	for _, status := range order {
		code := holding(may("code", &schema{Enum: codes[status]}))
		r := &response{
			About:   "refused: " + strings.Join(codes[status], ", "),
			Content: inJSON(closed("", must("error", &schema{AllOf: []*schema{ref("error"), code}}))),
		}
		switch status {
		case http.StatusUnauthorized:
			r.Headers = map[string]header{"WWW-Authenticate": {"Bearer", text("")}}
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			r.Headers = map[string]header{"Retry-After": {"when to try again, s", ordinal("")}}
		}
		all[statusName(status)] = r
	}
	return all
}

// operate adds what is no command.
func (d *openDocument) operate() {
	get := func(path, id, about string, responses map[string]*response) {
		d.Paths[path] = openPath{Get: &operation{ID: id, Summary: about, Tags: []string{"operation"}, Security: &[]none{}, Responses: responses}}
	}
	plain := map[string]content{plainText: {Schema: text("")}}
	state := inJSON(closed("",
		must("ready", flag("writing and reading work")),
		may("partitions", &schema{Type: "object", AdditionalProperties: text("why"), About: "those that cannot be written and read, by number"}),
		must("clickhouse", oneOf("away: history comes from the log alone", "ok", "away")),
	))
	get("/healthz", "healthz", "Whether the process lives", map[string]*response{"200": {About: "it does", Content: plain}})
	get("/readyz", "readyz", "Whether every partition takes and gives events", map[string]*response{
		"200": {About: "ready", Content: state}, "503": {About: "not ready", Content: state},
	})
	get("/metrics", "metrics", "Metrics for Prometheus", map[string]*response{"200": {About: "in its text format", Content: plain}})
	document := func(about string) map[string]*response {
		return map[string]*response{
			"200": {About: about, Content: inJSON(&schema{Type: "object"})},
			"304": {About: "it is what If-None-Match names"},
		}
	}
	get("/v1/openapi.json", "openapi", "This document", document("OpenAPI 3.1"))
	get("/v1/asyncapi.json", "asyncapi", "The document of the WebSocket", document("AsyncAPI 3.0"))
}
