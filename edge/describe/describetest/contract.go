package describetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Where the documents are, as the validator is told.
const (
	OpenAPI  = "https://throng.test/v1/openapi.json"
	AsyncAPI = "https://throng.test/v1/asyncapi.json"
)

// Contract is the two documents of one server. It is for one goroutine.
type Contract struct {
	documents map[string]map[string]any
	compilers map[string]*jsonschema.Compiler
	met       map[string]bool // places of properties that had a value
}

// Load reads the documents of the server at host:port.
func Load(t testing.TB, address string) *Contract {
	t.Helper()
	return New(t, Get(t, address, "/v1/openapi.json"), Get(t, address, "/v1/asyncapi.json"))
}

// Get reads a document of the server at host:port.
func Get(t testing.TB, address, path string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", path, response.Status, err)
	}
	return data
}

// New takes the documents as they were served.
func New(t testing.TB, openAPI, asyncAPI []byte) *Contract {
	t.Helper()
	c := &Contract{documents: map[string]map[string]any{}, compilers: map[string]*jsonschema.Compiler{}, met: map[string]bool{}}
	for at, data := range map[string][]byte{OpenAPI: openAPI, AsyncAPI: asyncAPI} {
		value, err := parse(data)
		if err != nil {
			t.Fatal(err)
		}
		c.documents[at] = value.(map[string]any)
		compiler := jsonschema.NewCompiler()
		if at == AsyncAPI {
			compiler.DefaultDraft(jsonschema.Draft7) // what AsyncAPI takes
		}
		if err := compiler.AddResource(at, value); err != nil {
			t.Fatal(err)
		}
		c.compilers[at] = compiler
	}
	return c
}

// parse keeps numbers as they are written.
func parse(data []byte) (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(data)) }

// Document is one of the two, as JSON reads it. It must not be changed.
func (c *Contract) Document(at string) map[string]any { return c.documents[at] }

// Properties is the names a component's object has.
func (c *Contract) Properties(component string) []string {
	object, _ := c.at(AsyncAPI, "/components/schemas/"+component).(map[string]any)
	properties, _ := object["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// Required is those of them that must be there.
func (c *Contract) Required(component string) (names []string) {
	object, _ := c.at(AsyncAPI, "/components/schemas/"+component).(map[string]any)
	list, _ := object["required"].([]any)
	for _, name := range list {
		names = append(names, name.(string))
	}
	slices.Sort(names)
	return names
}

// Component tells what is wrong with a value that shall be a component's.
func (c *Contract) Component(name string, data []byte) error {
	return c.check(AsyncAPI, "/components/schemas/"+name, data)
}

// Takes tells what is wrong with an object that shall be a command's.
func (c *Contract) Takes(command string, object []byte) error {
	value, err := parse(object)
	if err != nil {
		return err
	}
	return c.valid(AsyncAPI, "/components/schemas/"+command+"_command", value)
}

// Words is what one of a component's fields may be, nil where any word may;
// a field of an object within it is named with a slash.
func (c *Contract) Words(component, field string) (words []string) {
	path := strings.ReplaceAll(field, "/", "/properties/")
	list, _ := c.at(AsyncAPI, "/components/schemas/"+component+"/properties/"+path+"/enum").([]any)
	for _, word := range list {
		words = append(words, word.(string))
	}
	return words
}

// Answer tells what is wrong with what a command was answered over HTTP.
func (c *Contract) Answer(command string, status int, body []byte) error {
	at := fmt.Sprintf("/paths/~1v1~1%s/post/responses/%d", command, status)
	response, ok := c.at(OpenAPI, at).(map[string]any)
	if !ok {
		return fmt.Errorf("%s is not described to answer %d", command, status)
	}
	if to, ok := response["$ref"].(string); ok {
		at = strings.TrimPrefix(to, "#")
	}
	return c.check(OpenAPI, at+"/content/application~1json/schema", body)
}

// Frame tells what is wrong with a frame the server sent; asked names the
// command of an id.
func (c *Contract) Frame(frame []byte, asked func(id uint64) string) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(frame, &keys); err != nil {
		return err
	}
	message := "refused"
	if ok := keys["ok"]; ok != nil {
		id, err := strconv.ParseUint(string(keys["id"]), 10, 64)
		if err != nil {
			return err
		}
		message = asked(id) + "_answer"
	} else if keys["id"] == nil {
		for key := range keys {
			message = key + "_frame"
		}
	}
	return c.Message(message, frame)
}

// Message tells what is wrong with a message of the WebSocket.
func (c *Contract) Message(name string, data []byte) error {
	return c.check(AsyncAPI, "/components/messages/"+name+"/payload", data)
}

func (c *Contract) check(document, place string, data []byte) error {
	value, err := parse(data)
	if err != nil {
		return err
	}
	if err := c.valid(document, place, value); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	c.meet(document, place, value)
	return nil
}

func (c *Contract) valid(document, place string, value any) error {
	schema, err := c.compilers[document].Compile(document + "#" + place)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// at is what stands at a place of a document, nil for nothing.
func (c *Contract) at(document, place string) any {
	var value any = c.documents[document]
	for _, step := range strings.Split(place, "/")[1:] {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// Leads reports whether a reference of a document leads somewhere in it.
func (c *Contract) Leads(document, reference string) bool {
	return strings.HasPrefix(reference, "#/") && c.at(document, reference[1:]) != nil
}
