package refusals_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/projections"
	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/services/command"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

const (
	patience = 30 * time.Second
	secret   = "the secret of these tests, 32 bytes or more"
)

// deployment is all parts of a deployment with one partition, so that what an
// edge is told comes in one order.
type deployment struct {
	*streamtest.NATS
	edge   *edge.Edge
	client *http.Client
	conn   *nats.Conn // of back ends
}

// deploy starts all parts; they end with the test. change alters the edge's
// configuration.
func deploy(t *testing.T, change ...func(*edge.Config)) *deployment {
	t.Helper()
	d := &deployment{
		NATS:   streamtest.Provisioned(t, 1),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
	}
	t.Cleanup(d.client.CloseIdleConnections)
	d.conn = d.Connection(t)
	shape := topology.Deployment{Partitions: 1, Replicas: 1}
	service, err := command.New(command.Config{
		Conn: d.Connection(t), JS: d.JS, Deployment: shape, Instance: "one", Version: "1.0.0",
		Logger: streamtest.Logger(t), Metrics: sequencer.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, service.Run)
	projector, err := projections.New(projections.Config{
		Conn: d.Connection(t), Partitions: 1, DSN: enginetest.DSN(t), Logger: streamtest.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, projector.Run)
	config := edge.Config{
		Conn: d.Connection(t), JS: d.JS, Deployment: shape, Logger: streamtest.Logger(t), Listen: "127.0.0.1:0",
		JWTSecret: []byte(secret), DevMode: func(context.Context) (bool, error) { return true, nil },
	}
	for _, f := range change {
		f(&config)
	}
	if d.edge, err = edge.New(config); err != nil {
		t.Fatal(err)
	}
	run(t, d.edge.Run)
	select {
	case <-d.edge.Listening():
	case <-time.After(patience):
		t.Fatal("the edge does not listen")
	}
	streamtest.Eventually(t, patience, "commands are answered", func() bool {
		reply, err := d.conn.RequestMsg(question("dev:first", "group", `{"group":"nothing"}`), patience)
		return err == nil && answer{body: reply.Data}.code() == "not_found"
	})
	return d
}

// run runs a part until the test ends, and waits for it then.
func run(t *testing.T, part func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- part(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// serverToken is a back end's.
func serverToken(t testing.TB) string {
	t.Helper()
	claims := jwt.MapClaims{
		"sub": "backend", "exp": time.Now().Add(time.Hour).Unix(), "throng": map[string]any{"server": true},
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// must does a command that has to work, as a user, and returns its answer.
func (d *deployment) must(t testing.TB, user, command, object string) map[string]any {
	t.Helper()
	a := d.nats(t, "dev:"+user, command, object)
	if a.code() != "" {
		t.Fatalf("%s: %s %s: %s", user, command, object, a)
	}
	var ok map[string]any
	if err := json.Unmarshal(a.body, &ok); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	return ok
}
