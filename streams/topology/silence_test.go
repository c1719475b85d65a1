package topology_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// It proves that a part that starts while the bucket has no leader, so that its
// first question is never answered, asks again instead of waiting in vain.
func TestLoadAsksAgainWhereNobodyAnswers(t *testing.T) {
	n := streamtest.Provisioned(t, 3)
	var asked atomic.Int32
	_, err := n.Conn.Subscribe("late.>", func(m *nats.Msg) {
		if asked.Add(1) == 1 {
			return
		}
		_ = n.Conn.PublishRequest("$JS.API."+strings.TrimPrefix(m.Subject, "late."), m.Reply, m.Data) // else Load fails
	})
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.NewWithAPIPrefix(n.Conn, "late")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if d, err := topology.Load(ctx, js); err != nil || d.Partitions != 3 {
		t.Errorf("got %+v, %v", d, err)
	}
}
