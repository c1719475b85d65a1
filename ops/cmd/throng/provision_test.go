package main

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

func TestProvisionRefusesWhatItCannotStandOn(t *testing.T) {
	n := streamtest.New(t)
	lazy := monitor(t, `{"config":{"max_storage":1000000,"sync_interval":120000000000}}`)
	always := monitor(t, `{"config":{"max_storage":1000000,"sync_always":true}}`)
	cluster := topology.Deployment{Partitions: 4, Replicas: 3, SyncAlways: true}
	large := cluster
	large.MaxLogBytes = 1 << 20
	unsaid := cluster
	unsaid.SyncAlways = false
	for name, test := range map[string]struct {
		d       topology.Deployment
		command provisionCommand
		refused []string // parts of what it says; none: it goes on
		warns   string
	}{
		"said to sync, seen to be lazy":      {cluster, provisionCommand{Monitor: []string{always, lazy, always}}, []string{lazy + " does not sync"}, "does not sync"},
		"the same, allowed":                  {cluster, provisionCommand{Monitor: []string{always, lazy, always}, AllowLazy: true}, nil, "does not sync"},
		"said to sync and seen to":           {cluster, provisionCommand{Monitor: []string{always, always, always}}, nil, ""},
		"said to sync, unseen":               {cluster, provisionCommand{}, nil, "not verified"},
		"a cluster of which nobody said it":  {unsaid, provisionCommand{}, nil, "lazy sync in a cluster"},
		"a lazy cluster of which nobody did": {unsaid, provisionCommand{Monitor: []string{lazy, lazy, lazy}}, nil, "does not sync"},
		"lazy, and too small a disk":         {large, provisionCommand{Monitor: []string{lazy, always, always}}, []string{lazy + " does not sync", lazy + " may store", always + " may store"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			p := &program{stdout: io.Discard, stderr: io.Discard, logger: slog.New(slog.NewTextHandler(&said, nil))}
			err := test.command.foundation(t.Context(), p, n.Conn, n.JS, test.d)
			if (len(test.refused) > 0) != errors.Is(err, errUsage) {
				t.Fatalf("got %v", err)
			}
			for _, want := range test.refused {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
			if !strings.Contains(said.String(), test.warns) || test.warns == "" && len(test.refused) == 0 && said.Len() > 0 {
				t.Errorf("warned %q, want %q", said.String(), test.warns)
			}
		})
	}
}

func TestDoctorLooksAtHowALogIsStored(t *testing.T) {
	d := topology.Deployment{HotWindow: time.Hour, MaxLogBytes: 1000}
	now := time.Now()
	for name, test := range map[string]struct {
		config jetstream.StreamConfig
		state  jetstream.StreamState
		want   string
	}{
		"persist mode async": {jetstream.StreamConfig{PersistMode: jetstream.AsyncPersistMode}, jetstream.StreamState{}, "fail"},
		"too fast for its limit": {jetstream.StreamConfig{}, jetstream.StreamState{
			Bytes: 500, FirstTime: now.Add(-20 * time.Minute), LastTime: now}, "warn"},
		"slow enough": {jetstream.StreamConfig{}, jetstream.StreamState{
			Bytes: 500, FirstTime: now.Add(-40 * time.Minute), LastTime: now}, ""},
		"too young to tell": {jetstream.StreamConfig{}, jetstream.StreamState{
			Bytes: 500, FirstTime: now.Add(-time.Minute), LastTime: now}, ""},
	} {
		doc := doctor{}
		doc.stream(&jetstream.StreamInfo{Config: test.config, State: test.state}, d)
		got := ""
		for _, f := range doc.findings {
			got += f.level
		}
		if got != test.want {
			t.Errorf("%s: got %v, want %q", name, doc.findings, test.want)
		}
	}
}
