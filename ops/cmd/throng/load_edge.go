package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/throng/throng/ops/load"
)

// limitCommand measures what no server can do better.
type limitCommand struct {
	Sessions count `help:"Connections that are written to." default:"10000"`
	Bytes    count `help:"Size of a frame, header included." default:"400"`
	Burst    count `help:"Frames of one write." default:"1"`
	Rounds   count `help:"Writes to each connection." default:"50"`
	JSON     bool  `name:"json" help:"Print the report as JSON."`
}

func (c *limitCommand) Run(ctx context.Context, p *program) error {
	sink, err := sinkCommandLine()
	if err != nil {
		return err
	}
	report, err := load.Limit(ctx, load.LimitConfig{
		Sessions: int(c.Sessions), Bytes: int(c.Bytes), Burst: int(c.Burst), Rounds: int(c.Rounds), Sink: sink,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(report)
	}
	_, err = fmt.Fprintln(p.stdout, report)
	return err
}

// sinkCommandLine is this very binary as the limit's readers.
func sinkCommandLine() ([]string, error) {
	self, err := os.Executable()
	return []string{self, "load", "sink"}, err
}

// sinkCommand is the process that reads what limit writes.
type sinkCommand struct {
	Address  string `arg:""`
	Sessions int    `arg:""`
	Burst    int    `arg:""`
}

func (c *sinkCommand) Run(ctx context.Context, p *program) error {
	return load.Sink(ctx, c.Address, c.Sessions, c.Burst, os.Stdin, p.stdout)
}

// loadEdgeCommand measures an edge against the limit.
type loadEdgeCommand struct {
	Sessions []int    `help:"Numbers of sessions to measure with, comma-separated." default:"1000,10000" placeholder:"N"`
	Repeats  count    `help:"Measurements of each; the report has the medians." default:"3"`
	Rest     lifetime `help:"How long the sessions rest before memory is read." default:"10s" placeholder:"DURATION"`
	Saturate lifetime `help:"How long messages are sent as fast as answers come." default:"5s" placeholder:"DURATION"`
	Senders  count    `help:"Connections that send then." default:"64"`
	Body     count    `help:"Size of a message's body, in bytes." default:"100"`
	JSON     bool     `name:"json" help:"Print the reports as JSON, a line each."`
}

func (c *loadEdgeCommand) Run(ctx context.Context, p *program) error {
	for _, sessions := range c.Sessions {
		report, err := c.measure(ctx, p, sessions)
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
		if err != nil {
			return err
		}
	}
	return nil
}

// measure starts a deployment and measures its edge.
func (c *loadEdgeCommand) measure(ctx context.Context, p *program, sessions int) (report load.EdgeReport, err error) {
	self, err := os.Executable()
	if err != nil {
		return report, err
	}
	dir, err := os.MkdirTemp("", "throng-load-")
	if err != nil {
		return report, err
	}
	defer os.RemoveAll(dir)
	deployment, err := load.StartDeployment(ctx, self, dir)
	defer func() {
		if stopErr := deployment.Stop(); err == nil {
			err = stopErr
		}
	}()
	if err != nil {
		return report, err
	}
	return load.Edge(ctx, load.EdgeConfig{
		URL: deployment.EdgeURL, PID: deployment.EdgePID, Sessions: sessions, Repeats: int(c.Repeats),
		Token: func(user string) (string, error) { return "dev:" + user, nil },
		Rest:  time.Duration(c.Rest), Saturate: time.Duration(c.Saturate), Senders: int(c.Senders), Body: int(c.Body),
		Progress: p.stderr,
		Limit: func(ctx context.Context, frame, burst, rounds int) (report load.LimitReport, err error) {
			// A process of its own: this one has the sessions' descriptors already.
			limit := exec.CommandContext(ctx, self, "load", "limit", "--json", "--sessions", strconv.Itoa(sessions),
				"--bytes", strconv.Itoa(frame), "--burst", strconv.Itoa(burst), "--rounds", strconv.Itoa(rounds))
			limit.Stderr = p.stderr
			out, err := limit.Output()
			if err == nil {
				err = json.Unmarshal(out, &report)
			}
			return report, err
		},
	})
}
