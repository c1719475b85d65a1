package group_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
)

// live is a group with its log, without a sequencer around it.
type live struct {
	t       testing.TB
	state   *group.State
	now     int64
	log     []*streams.Event
	authors map[streams.Number]streams.User // of the messages in channel c
}

func newLive(t testing.TB, g streams.Group) *live {
	return &live{t: t, state: group.New(g), now: 1_000_000, authors: map[streams.Number]streams.User{}}
}

// do decides a command and applies what it led to. It returns the code of the
// refusal, "" for none.
func (l *live) do(r group.Request) streams.Code {
	l.t.Helper()
	d, err := l.state.Decide(r, l.now)
	if err != nil {
		return codeOf(l.t, err)
	}
	l.apply(d.Events)
	return ""
}

// must is do of what a back end asks for, and that is not refused.
func (l *live) must(user streams.User, body any) {
	l.t.Helper()
	if code := l.do(group.Request{User: user, Server: true, Body: body}); code != "" {
		l.t.Fatalf("%s %T %v: %s", user, body, body, code)
	}
}

// apply numbers and folds events, as the log would have them.
func (l *live) apply(events []*streams.Event) {
	for _, e := range events {
		l.state.Number(e)
		e.Seq, e.TS = streams.Seq(len(l.log)+1), l.now
		l.state.Apply(e)
		l.log = append(l.log, e)
		if e.Kind() == streams.KindMessage {
			l.authors[e.N] = e.User
		}
	}
}

func codeOf(t testing.TB, err error) streams.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	var rejection *streams.Rejection
	if !errors.As(err, &rejection) {
		t.Fatalf("%v is no rejection", err)
	}
	return rejection.Code
}

// encoded is an entity's record in bytes, nil for none.
func encoded(t testing.TB, s *group.State, e group.Entity) []byte {
	t.Helper()
	record := s.Record(e)
	if record == nil {
		return nil
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
