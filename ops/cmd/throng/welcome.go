package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// welcome is what `dev` prints when everything works: where it is, and what to
// try next.
type welcome struct {
	address, nats, clickhouse string
	dev                       bool
	elapsed                   time.Duration
}

func (w welcome) print(out io.Writer) {
	token := "$(go run ./ops/cmd/throng token --user alice --jwt-secret …)"
	tokenLine := "signed by --jwt-secret or --jwks, such as: throng token --user alice --jwt-secret …"
	if w.dev {
		token = "dev:alice"
		tokenLine = "dev:alice — any name; for back ends: throng token --user backend --server"
	}
	flags := ""
	if w.nats != "nats://127.0.0.1:4222" {
		flags = " --nats " + w.nats
	}
	sqlFlags := ""
	if !strings.Contains(w.clickhouse, "@127.0.0.1:9000/") {
		sqlFlags = " --clickhouse " + w.clickhouse
	}
	_, _ = fmt.Fprintf(out, `
Throng runs (ready in %.1f s). Ctrl-C ends it; the data stays.

  page        http://%[2]s/
  websocket   ws://%[2]s/v1/ws
  nats        %[3]s
  clickhouse  %[4]s
  token       %[5]s

Try:

  curl -s http://%[2]s/v1/create_group -H 'Authorization: Bearer %[6]s' -d '{"group":"g1","kind":"community","name":"First"}'
  curl -s http://%[2]s/v1/create_channel -H 'Authorization: Bearer %[6]s' -d '{"group":"g1","channel":"general","kind":"public","name":"General"}'
  curl -s http://%[2]s/v1/send -H 'Authorization: Bearer %[6]s' -d '{"group":"g1","channel":"general","body":"hello"}'
  go run ./ops/cmd/throng import irc LOGS/*.txt --group ubuntu%[7]s
  go run ./ops/cmd/throng sql%[8]s 'SELECT user, count() AS messages FROM messages FINAL GROUP BY user ORDER BY messages DESC LIMIT 10'

`, w.elapsed.Seconds(), w.address, w.nats, w.clickhouse, tokenLine, token, flags, sqlFlags)
}
