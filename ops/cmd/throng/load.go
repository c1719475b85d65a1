package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/throng/throng/ops/load"
	"github.com/throng/throng/streams"
)

// loadCommands are what load is put on for.
type loadCommands struct {
	Run   loadCommand     `cmd:"" default:"withargs" help:"Send, follow, and check what is delivered."`
	Edge  loadEdgeCommand `cmd:"" help:"Start a deployment and measure its edge against the limit: CPU for each delivery, memory for each connection."`
	Limit limitCommand    `cmd:"" help:"Measure a bare loop of write(2), which no server can beat."`
	Sink  sinkCommand     `cmd:"" hidden:""`
}

type loadCommand struct {
	URL       string   `name:"url" help:"The edge's WebSocket." default:"ws://127.0.0.1:8080/v1/ws" placeholder:"URL"`
	JWTSecret secret   `name:"jwt-secret" help:"Secret to sign the users' tokens with. Without it they are dev:<user>." placeholder:"SECRET"`
	Readers   count    `help:"Connections that follow the channel." default:"10"`
	Senders   count    `help:"Connections that send." default:"10"`
	Rate      count    `help:"Messages a second, all senders together; 0: as fast as answers come." default:"1000"`
	Duration  lifetime `help:"How long to send." default:"10s" placeholder:"DURATION"`
	Body      count    `help:"Size of a message's body, in bytes." default:"100"`
	PID       count    `name:"pid" help:"Process of the server, to tell its CPU and memory." default:"0"`
	JSON      bool     `name:"json" help:"Print the report as JSON."`
}

var errLoadFailed = errors.New("the load was not carried as promised")

func (c *loadCommand) Run(ctx context.Context, p *program) error {
	report, err := load.Run(ctx, load.Config{
		URL: c.URL, Readers: int(c.Readers), Senders: int(c.Senders), Rate: float64(c.Rate),
		Duration: time.Duration(c.Duration), BodyBytes: int(c.Body), Progress: p.stderr, PID: int(c.PID),
		Token: func(user string) (string, error) {
			if c.JWTSecret == "" {
				return "dev:" + user, nil
			}
			return makeToken(string(c.JWTSecret), streams.User(user), false, time.Hour)
		},
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(p.stdout).Encode(report)
	} else {
		_, err = fmt.Fprintln(p.stdout, report)
	}
	if err == nil && !report.OK() {
		err = errLoadFailed
	}
	return err
}
