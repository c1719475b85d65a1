package history

import (
	"testing"

	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// TestADatabaseFromBeforeTheGroupsIsFilled has a database with events and
// messages of the kinds there were, and nothing in the tables that came later.
func TestADatabaseFromBeforeTheGroupsIsFilled(t *testing.T) {
	s := NewSink(logtest.DB(t, enginetest.DSN(t)))
	log, seq := logtest.New(0, 1, 0), streams.Seq(0)
	next := func() streams.Seq { seq++; return seq }
	happens := func(channel streams.Channel, user string, payload streams.Payload) {
		log.Happens(next(), "g", channel, payload).User = streams.User(user)
	}
	joins := func(user, by string, role streampb.Role) {
		happens("@members", by, streams.MemberJoined{MemberJoined: &streampb.MemberJoined{Member: user, Role: role, Reason: "it's"}})
	}
	leaves := func(user string) {
		happens("@members", user, streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: user}})
	}
	happens("@", "alice", streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{Kind: "community", Name: "G"}})
	joins("alice", "alice", streampb.Role_ROLE_OWNER)
	happens("@", "alice", streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{Channel: "c", Kind: "public", Name: "C"}})
	happens("@", "alice", streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{Channel: "d", Kind: "public", Name: "D"}})
	joins("bob", "alice", streampb.Role_ROLE_MEMBER)
	joins("carol", "carol", streampb.Role_ROLE_MEMBER)
	joins("dave", "dave", streampb.Role_ROLE_MEMBER)
	leaves("carol")
	leaves("dave")
	joins("dave", "dave", streampb.Role_ROLE_MEMBER)
	for _, channel := range []streams.Channel{"c", "d"} {
		for range 3 {
			log.Message(next(), "g", channel, []byte("x")).User = "bob"
		}
		log.Recall(next(), "g", channel, 1).User = "bob"
		log.Recall(next(), "g", channel, 2).User = "alice"
	}
	if _, err := s.Write(t.Context(), Batch{Records: records(log.Events)}); err != nil {
		t.Fatal(err)
	}
	for _, table := range append(stateTables[1:], "throng_migrations") {
		if err := s.db.Exec(t.Context(), "TRUNCATE TABLE "+table+" SYNC"); err != nil {
			t.Fatal(err)
		}
	}
	if difference(t, s, log.Events) == "" {
		t.Fatal("nothing is missing before the migration")
	}
	for range 2 { // the second finds nothing to do
		if _, err := s.db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := difference(t, s, log.Events); d != "" {
			t.Error(d)
		}
	}
	// Made again beside a projection of today it must not forget what only that knows.
	joined := &streampb.MemberJoined{Member: "erin", Role: streampb.Role_ROLE_MEMBER, Invite: "i", State: &streampb.MemberState{
		Role: streampb.Role_ROLE_MEMBER, Joined: 5, MutedUntil: -1, UserGroups: []string{"red"},
	}}
	happens("@members", "alice", streams.MemberJoined{MemberJoined: joined})
	if _, err := s.Write(t.Context(), Batch{Records: records(log.Events[len(log.Events)-1:])}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Exec(t.Context(), "TRUNCATE TABLE throng_migrations SYNC"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := difference(t, s, log.Events); d != "" {
		t.Errorf("made again: %s", d)
	}
}
