// Package streampb is the encoding of what travels through NATS and rests in
// JetStream: events, commands, snapshot records and queries, generated from the
// .proto files beside it. The rules of evolution stand at the head of each.
//
// Code outside streams builds and reads events through [streams.Event]; the
// message types for payloads and commands are used as they are.
package streampb

//go:generate go run gen.go
