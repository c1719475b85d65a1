package session_test

import (
	"testing"

	"github.com/throng/throng/edge/edgetest"
	"github.com/throng/throng/streams"
)

// Of a direct group that does not exist a stranger is told what strangers are
// told of groups that do.
func TestWhetherADirectGroupExistsIsToldToNobodyElse(t *testing.T) {
	s := edgetest.New(t)
	s.Group(t)
	eve := connected(t, s.Edge, "eve")
	for _, command := range []string{"subscribe", "history", "attrs"} {
		want := eve.answer(eve.ask(command, `{"group":"g","channel":"main"}`))
		f := eve.answer(eve.ask(command, `{"group":"`+string(streams.DirectGroup("alice", "bob"))+`","channel":"main"}`))
		if f.Error == nil || want.Error == nil || *f.Error != *want.Error || f.Error.Code != "not_member" {
			t.Errorf("%s: %+v, want %+v", command, f.Error, want.Error)
		}
	}
}
