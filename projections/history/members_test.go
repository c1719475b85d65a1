package history

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

func askMembers(t testing.TB, n *streamtest.NATS, q *streampb.MemberQuery) *streampb.MemberList {
	t.Helper()
	return ask(t, n, streams.QueryMembers, q, &streampb.MemberList{})
}

func users(list *streampb.MemberList) string {
	var names []string
	for _, m := range list.GetMembers() {
		names = append(names, m.GetUser())
	}
	return strings.Join(names, " ")
}

// roster is a group of 9 members u1 to u9 of whom u3 left, u5 was banned, u7 is
// a moderator, u8 was one and is muted, and a stranger who waits.
func roster() *logtest.Log {
	log := logtest.New(0, 1, 0)
	seq := streams.Seq(0)
	add := func(payload streams.Payload) {
		seq++
		log.Happens(seq, "g", streams.MembersChannel, payload)
	}
	for i := range 9 {
		state := &streampb.MemberState{Role: streampb.Role_ROLE_MEMBER, Joined: 1000 + int64(i)}
		add(streams.MemberJoined{MemberJoined: &streampb.MemberJoined{Member: fmt.Sprint("u", i+1), Role: state.Role, State: state}})
	}
	role := func(user string, role streampb.Role) {
		add(streams.RoleChanged{RoleChanged: &streampb.RoleChanged{Member: user, Role: role, State: &streampb.MemberState{Role: role, Joined: 7}}})
	}
	add(streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: "u3", State: &streampb.MemberState{}}})
	add(streams.MemberBanned{MemberBanned: &streampb.MemberBanned{Member: "u5", State: &streampb.MemberState{Banned: true}}})
	role("u7", streampb.Role_ROLE_MODERATOR)
	role("u8", streampb.Role_ROLE_MODERATOR)
	role("u8", streampb.Role_ROLE_MEMBER)
	add(streams.MemberMuted{MemberMuted: &streampb.MemberMuted{Member: "u8", Until: -1, State: &streampb.MemberState{
		Role: streampb.Role_ROLE_MEMBER, Joined: 7, JoinedSeq: 8, MutedUntil: -1, UserGroups: []string{"red", "white"},
	}}})
	add(streams.JoinRequested{JoinRequested: &streampb.JoinRequested{Member: "w", State: &streampb.MemberState{Waiting: true}}})
	seq++
	log.Happens(seq, "other", streams.MembersChannel, streams.MemberJoined{MemberJoined: &streampb.MemberJoined{Member: "u0", Role: streampb.Role_ROLE_OWNER}})
	return log
}

func TestMembersByPages(t *testing.T) {
	n := stored(t, roster())
	for _, q := range []struct {
		name  string
		query *streampb.MemberQuery
		want  string
		after string
	}{
		{"all", &streampb.MemberQuery{}, "u1 u2 u4 u6 u7 u8 u9", ""},
		{"the first two", &streampb.MemberQuery{Limit: 2}, "u1 u2", "u2"},
		{"past who left", &streampb.MemberQuery{After: "u2", Limit: 1}, "u4", "u4"},
		{"the last", &streampb.MemberQuery{After: "u8", Limit: 5}, "u9", ""},
		{"behind the last", &streampb.MemberQuery{After: "u9"}, "", ""},
		{"after nobody who is", &streampb.MemberQuery{After: "u10"}, "u2 u4 u6 u7 u8 u9", ""},
		{"moderators", &streampb.MemberQuery{Role: streampb.Role_ROLE_MODERATOR}, "u7", ""},
		{"owners", &streampb.MemberQuery{Role: streampb.Role_ROLE_OWNER}, "", ""},
		{"a limit that is clamped", &streampb.MemberQuery{Limit: 1 << 31, After: "u7"}, "u8 u9", ""},
	} {
		q.query.Group = "g"
		list := askMembers(t, n, q.query)
		if got := users(list); got != q.want || list.GetAfter() != q.after || list.GetError() != nil {
			t.Errorf("%s: got %s after %q, %v, want %s after %q", q.name, got, list.GetAfter(), list.GetError(), q.want, q.after)
		}
	}
	got := askMembers(t, n, &streampb.MemberQuery{Group: "g", After: "u7", Limit: 1}).GetMembers()[0]
	want := &streampb.MemberInfo{User: "u8", Role: streampb.Role_ROLE_MEMBER, Joined: 7, MutedUntil: -1, UserGroups: []string{"red", "white"}}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if list := askMembers(t, n, &streampb.MemberQuery{Group: "never"}); len(list.GetMembers()) != 0 || list.GetError() != nil {
		t.Errorf("a group that never was: got %v", list)
	}
}

// TestEveryMemberIsOnOnePage walks groups whose members come and go, by pages of
// every size, against the table itself.
func TestEveryMemberIsOnOnePage(t *testing.T) {
	dsn := enginetest.DSN(t)
	sink := NewSink(logtest.DB(t, dsn))
	_, list := randomLog(8, 900)
	for batch := range slices.Chunk(list, 100) { // many parts, so that old rows are there
		if _, err := sink.Write(t.Context(), Batch{Records: batch}); err != nil {
			t.Fatal(err)
		}
	}
	n := serve(t, dsn)
	for _, role := range []streampb.Role{streampb.Role_ROLE_NONE, streampb.Role_ROLE_MODERATOR} {
		want := ""
		const text = "SELECT arrayStringConcat(groupArray(user), ' ') FROM (SELECT user FROM members FINAL" +
			" WHERE `group` = 'p0g0' AND role != '' AND role LIKE concat({role:String}, '%') ORDER BY user)"
		err := sink.db.Query(t.Context(), text, map[string]any{"role": streams.RoleName(role)}, func(scan func(...any) error) error { return scan(&want) })
		if err != nil || want == "" {
			t.Fatalf("%q, %v", want, err)
		}
		for _, limit := range []uint32{1, 2, 7, 100} {
			var pages []string
			for after := ""; ; {
				list := askMembers(t, n, &streampb.MemberQuery{Group: "p0g0", After: after, Limit: limit, Role: role})
				if list.GetError() != nil || len(list.GetMembers()) > int(limit) || len(pages) > 100 {
					t.Fatalf("page %d: %v", len(pages), list)
				}
				if names := users(list); names != "" {
					pages = append(pages, names)
				}
				if after = list.GetAfter(); after == "" {
					break
				}
			}
			if got := strings.Join(pages, " "); got != want {
				t.Errorf("role %v, %d a page: got %s, want %s", role, limit, got, want)
			}
		}
	}
}

func TestMembersAreRefusedBadNamesAndAwayIsAnswered(t *testing.T) {
	n := stored(t, roster())
	for _, q := range []*streampb.MemberQuery{{Group: ""}, {Group: "g' --"}, {Group: "g", After: "a\tb"}, {Group: "g", After: "'"}} {
		if got := askMembers(t, n, q).GetError().GetCode(); got != string(streams.BadRequest) {
			t.Errorf("%v: got %q", q, got)
		}
	}
	away := serve(t, "clickhouse://127.0.0.1:1/db")
	for range 2 { // the second meets the breaker
		if got := askMembers(t, away, &streampb.MemberQuery{Group: "g"}).GetError().GetCode(); got != string(streams.HistoryUnavailable) {
			t.Errorf("away: got %q", got)
		}
	}
}
