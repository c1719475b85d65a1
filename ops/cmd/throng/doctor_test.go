package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/throng/throng/streams/topology"
)

func TestOlderComparesVersionsByNumber(t *testing.T) {
	for _, test := range []struct {
		have string
		want bool
	}{
		{"2.14.3", false}, {"2.14.2", true}, {"2.15.0", false}, {"2.9.30", true}, {"3.0.0", false},
		{"2.14.3-preview.1", false}, {"2.14.10", false}, {"", true}, {"dev", true},
	} {
		if got := older(test.have, "2.14.3"); got != test.want {
			t.Errorf("older(%q): got %v, want %v", test.have, got, test.want)
		}
	}
}

// monitor stands in for the monitoring page of a server that runs elsewhere.
func monitor(t *testing.T, page string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(page))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestDoctorTellsWhatAPowerCutWouldCost(t *testing.T) {
	lazy := `{"config":{"max_memory":1,"sync_interval":120000000000}}`
	always := `{"config":{"max_memory":1,"sync_interval":1,"sync_always":true}}`
	for name, test := range map[string]struct {
		d     topology.Deployment
		pages []string
		want  string
	}{
		"one node, unseen":               {topology.Deployment{Replicas: 1}, nil, "warn"},
		"a cluster, unseen":              {topology.Deployment{Replicas: 3}, nil, "fail"},
		"a cluster that says it syncs":   {topology.Deployment{Replicas: 3, SyncAlways: true}, nil, "warn"},
		"a cluster seen to sync":         {topology.Deployment{Replicas: 3, SyncAlways: true}, []string{always}, "ok"},
		"a cluster seen to be lazy":      {topology.Deployment{Replicas: 3, SyncAlways: true}, []string{lazy}, "fail"},
		"syncing, and nobody was told":   {topology.Deployment{Replicas: 3}, []string{always}, "warn"},
		"an address that is not NATS's":  {topology.Deployment{Replicas: 3}, []string{`<html>`}, "fail"},
		"an address of another endpoint": {topology.Deployment{Replicas: 3}, []string{`{}`}, "fail"},
	} {
		d := doctor{http: http.DefaultClient}
		var addresses []string
		for _, page := range test.pages {
			addresses = append(addresses, monitor(t, page))
		}
		d.durability(test.d, addresses)
		if len(d.findings) != 1 || d.findings[0].level != test.want {
			t.Errorf("%s: got %+v, want one %s", name, d.findings, test.want)
		}
	}
}

func TestOnlyFailuresMakeADeploymentSick(t *testing.T) {
	var out strings.Builder
	if err := reportFindings(&out, []finding{{"ok", "a", ""}, {"warn", "b", "mend b"}}); err != nil {
		t.Errorf("got %v", err)
	}
	if err := reportFindings(&out, []finding{{"fail", "c", "mend c"}}); !errors.Is(err, errSick) {
		t.Errorf("got %v, want errSick", err)
	}
	if !strings.Contains(out.String(), "→ mend b") || !strings.Contains(out.String(), "fail  c") {
		t.Errorf("printed:\n%s", out.String())
	}
}
