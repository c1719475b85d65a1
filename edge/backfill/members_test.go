package backfill_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

func TestMembersAreAskedOfTheProjections(t *testing.T) {
	n := streamtest.New(t)
	loader := backfill.New(backfill.Config{Conn: n.Conn, Partitions: 1, Metrics: backfill.NewMetrics(prometheus.NewRegistry())})
	question := &streampb.MemberQuery{Group: "g", After: "alice", Limit: 2, Role: streampb.Role_ROLE_ADMIN}
	if _, err := loader.Members(t.Context(), question); streams.AsRejection(err).Code != streams.HistoryUnavailable {
		t.Errorf("nobody answers: got %v", err)
	}
	answer := &streampb.MemberList{Members: []*streampb.MemberInfo{{User: "bob", Role: streampb.Role_ROLE_ADMIN}}, After: "bob"}
	sub, err := n.Conn.Subscribe(streams.QueryMembers, func(msg *nats.Msg) {
		asked := &streampb.MemberQuery{}
		if err := proto.Unmarshal(msg.Data, asked); err != nil || !proto.Equal(asked, question) {
			t.Errorf("asked %v, %v", asked, err)
		}
		data, err := proto.Marshal(answer)
		if err == nil {
			err = msg.Respond(data)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if got, err := loader.Members(t.Context(), question); err != nil || !proto.Equal(got, answer) {
		t.Errorf("got %v, %v", got, err)
	}
	answer = &streampb.MemberList{Error: &streampb.QueryError{Code: string(streams.Unavailable)}}
	if _, err := loader.Members(t.Context(), question); streams.AsRejection(err).Code != streams.HistoryUnavailable {
		t.Errorf("an error for an answer: got %v", err)
	}
}
