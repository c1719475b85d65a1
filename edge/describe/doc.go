// Package describe says what the wire contract is, to programs: an OpenAPI 3.1
// document of the commands over HTTP and an AsyncAPI 3.0 document of the
// WebSocket. Both are built once from the same tables and served as they are,
// so a client, a generator or a test reads from a running edge what that very
// edge takes and answers.
//
// # What is where
//
//	commands*.go  each command: its fields, what it answers
//	parts.go      what several of them hold: settings, messages, attributes
//	events.go     each kind of event
//	frames.go     what the server sends by itself, and close codes
//	refusal.go    the error object and its codes
//	values.go     names, numbers, texts: the types of fields, with their limits
//	schema.go     the part of JSON Schema that all this needs
//
// Limits are the constants that the code enforces. docs/api.md is the same
// tables for people.
//
// # Open and closed
//
// What a client sends may have further fields, which are ignored; what the
// server sends has additionalProperties:false, so that a field the tables do
// not know fails a client that validates, and the tests here. Newer versions
// add fields: a client that validates asks the edge it talks to, not a copy.
//
// The keywords used mean the same in JSON Schema 2020-12, which OpenAPI takes,
// and in draft 7, which AsyncAPI takes. They cannot say everything: lengths
// count characters where the server counts bytes, null is the same as absent,
// and numbers are digits only (1.0 is refused). The text of a field says so
// where it matters.
package describe
