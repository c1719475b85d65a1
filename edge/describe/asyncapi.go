package describe

import (
	"fmt"
	"strings"

	"github.com/throng/throng/edge/wire"
)

// The parts of an AsyncAPI document, as far as this one has them.
type (
	asyncDocument struct {
		AsyncAPI    string                    `json:"asyncapi"`
		Info        info                      `json:"info"`
		ContentType string                    `json:"defaultContentType"`
		Channels    map[string]socket         `json:"channels"`
		Operations  map[string]asyncOperation `json:"operations"`
		Components  asyncComponents           `json:"components"`
	}
	socket struct {
		Address  string               `json:"address"`
		About    string               `json:"description"`
		Messages map[string]reference `json:"messages"`
		Bindings socketBindings       `json:"bindings"`
		Closings []closing            `json:"x-close-codes"`
	}
	socketBindings struct {
		WS socketBinding `json:"ws"`
	}
	socketBinding struct {
		Method  string  `json:"method"`
		Headers *schema `json:"headers"`
		Version string  `json:"bindingVersion"`
	}
	reference struct {
		Ref string `json:"$ref"`
	}
	asyncOperation struct {
		Action   string      `json:"action"`
		Channel  reference   `json:"channel"`
		Summary  string      `json:"summary"`
		Messages []reference `json:"messages"`
		Reply    *reply      `json:"reply,omitempty"`
	}
	reply struct {
		Channel  reference   `json:"channel"`
		Messages []reference `json:"messages"`
	}
	asyncComponents struct {
		Schemas  map[string]*schema      `json:"schemas"`
		Messages map[string]asyncMessage `json:"messages"`
	}
	asyncMessage struct {
		Title   string  `json:"title"`
		Summary string  `json:"summary,omitempty"`
		Payload *schema `json:"payload"`
	}
)

// refused is the message that refuses any command.
const refused = "refused"

const socketName = "session"

func asyncAPI(version, subprotocol string) *asyncDocument {
	d := &asyncDocument{
		AsyncAPI: "3.0.0",
		Info: info{Title: "Throng over WebSocket", Version: version, License: apache, Description: "Frames of JSON, one or more in a text message, " +
			"separated by a newline. A client sends {\"id\":7,\"<command>\":{…}} with an id above 0 that it does not reuse while it waits; " +
			"the answer has that id, what the server sends by itself has none. The first command is connect. " +
			"null is the same as absent, numbers are digits only, fields a command does not know are ignored. " +
			fmt.Sprintf("A message may have %d bytes.", wire.MaxFrame)},
		ContentType: jsonType,
		Operations:  map[string]asyncOperation{},
		Components:  asyncComponents{Schemas: map[string]*schema{}, Messages: map[string]asyncMessage{}},
	}
	for _, part := range components() {
		d.Components.Schemas[part.name] = part.schema
	}
	id := must("id", ordinal("the client's"))
	all := commands()
	for i := range all {
		c := &all[i]
		name := string(c.name)
		d.Components.Schemas[commandName(c.name)] = c.request()
		d.Components.Schemas[answerName(c.name)] = c.answer
		d.Components.Messages[commandName(c.name)] = asyncMessage{
			Title: name, Summary: c.about, Payload: closed("", id, must(name, ref(commandName(c.name)))),
		}
		d.Components.Messages[answerName(c.name)] = asyncMessage{
			Title: "answer to " + name, Payload: closed("", id, must("ok", ref(answerName(c.name)))),
		}
		d.Operations[name] = asyncOperation{
			Action: "receive", Channel: onSocket(""), Summary: c.about, Messages: []reference{onSocket(commandName(c.name))},
			Reply: &reply{Channel: onSocket(""), Messages: []reference{onSocket(answerName(c.name)), onSocket(refused)}},
		}
	}
	d.Components.Messages[refused] = asyncMessage{
		Title: "refusal", Summary: "The command was not done",
		Payload: closed("", must("id", count("the command's, 0 if it could not be read")), must("error", ref("error"))),
	}
	for _, f := range frames() {
		name := f.name + "_frame"
		d.Components.Messages[name] = asyncMessage{Title: f.name, Summary: f.about, Payload: closed("", must(f.name, f.schema))}
		d.Operations[name] = asyncOperation{Action: "send", Channel: onSocket(""), Summary: f.about, Messages: []reference{onSocket(name)}}
	}
	d.Channels = map[string]socket{socketName: connection(d.Components.Messages, subprotocol)}
	return d
}

// connection is the one channel there is, in AsyncAPI's sense of the word.
func connection(messages map[string]asyncMessage, subprotocol string) socket {
	s := socket{
		Address: "/v1/ws", Closings: closings, Messages: map[string]reference{},
		Bindings: socketBindings{WS: socketBinding{Method: "GET", Version: "0.1.0", Headers: open("",
			may("Sec-WebSocket-Protocol", &schema{Type: "string", Const: subprotocol, About: "also where none is offered"}))}},
	}
	var about strings.Builder
	about.WriteString("A connection of one user. The server closes it with\n\n| code | meaning |\n|---|---|\n")
	for _, c := range closings {
		fmt.Fprintf(&about, "| %d | %s |\n", c.Code, c.About)
	}
	s.About = about.String()
	for name := range messages {
		s.Messages[name] = reference{Ref: "#/components/messages/" + name}
	}
	return s
}

// onSocket points to the channel, or to a message of it.
func onSocket(message string) reference {
	r := reference{Ref: "#/channels/" + socketName}
	if message != "" {
		r.Ref += "/messages/" + message
	}
	return r
}
