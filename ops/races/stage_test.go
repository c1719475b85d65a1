package races

import (
	"context"
	"crypto/rand"
	"os"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/services/command"
	"github.com/throng/throng/services/sequencer"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// patience is how long anything may take that is promised no time.
const patience = 30 * time.Second

// secret signs tokens. Where edges are in development mode users' are dev:<user>.
const secret = "the secret of a stage, 32 bytes or more"

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println("races:", err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// stage is one owner of one partition and two edges, each with a connection to
// NATS of its own.
type stage struct {
	*streamtest.NATS
	edges [2]string // where they listen, host:port
}

// newStage ends with the test. change alters the configuration of both edges.
func newStage(t testing.TB, change ...func(*edge.Config)) *stage {
	t.Helper()
	deployment := topology.Deployment{Partitions: 1, Replicas: 1}
	s := &stage{NATS: streamtest.Provisioned(t, 1)}
	service, err := command.New(command.Config{
		Conn: s.Connection(t), JS: s.JS, Deployment: deployment, Instance: "stage-" + rand.Text()[:6], Version: "0.0.1",
		Logger: streamtest.Logger(t), Metrics: sequencer.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		t.Fatal(err)
	}
	runs(t, "the services", service.Run)
	for i := range s.edges {
		config := edge.Config{
			Conn: s.Connection(t), JS: s.JS, Deployment: deployment, Logger: streamtest.Logger(t), Listen: "127.0.0.1:0",
			JWTSecret: []byte(secret), DevMode: func(context.Context) (bool, error) { return true, nil },
		}
		for _, f := range change {
			f(&config)
		}
		node, err := edge.New(config)
		if err != nil {
			t.Fatal(err)
		}
		runs(t, "an edge", node.Run)
		select {
		case <-node.Listening():
		case <-time.After(patience):
			t.Fatal("an edge does not listen")
		}
		s.edges[i] = node.Addr().String()
	}
	return s
}

// runs runs a part until the test ends.
func runs(t testing.TB, name string, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
}

// backEnd is a server token.
func backEnd(t testing.TB) string {
	t.Helper()
	token, err := signed(jwt.MapClaims{"sub": "back-end", "throng": map[string]any{"server": true}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// signed is a token of these claims.
func signed(claims jwt.MapClaims) (string, error) {
	claims["exp"] = time.Now().Add(time.Hour).Unix()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
}

// events reads the log of a group.
func (s *stage) events(t testing.TB, g streams.Group) (events []*streams.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := eventlog.NewReader(s.Conn, streams.LogStream(0)).Scan(ctx, streams.LogFilter(0), 1, 0, func(m eventlog.Message) error {
		if at, _ := streams.ParseLog(m.Subject); at.Group != g {
			return nil
		}
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		events = append(events, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}
