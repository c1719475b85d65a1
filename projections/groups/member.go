package groups

import (
	"time"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

type memberKey struct {
	group streams.Group
	user  streams.User
}

// member is a row of the table members: how a user stands after one event.
type member struct {
	key       memberKey
	state     *streampb.MemberState
	joinedSeq uint64
	ts        int64 // ms since 1970 UTC
	seq       uint64
}

// memberAfter returns the row an event makes; nil if it is about no member.
func memberAfter(e *streams.Event) *member {
	user, state := streams.MemberOf(e)
	joined, joins := e.Payload.(streams.MemberJoined)
	_, leaves := e.Payload.(streams.MemberLeft)
	switch {
	case state == nil && joins: // written before joins and leaves carried it
		state = &streampb.MemberState{Role: joined.GetRole(), Joined: e.TS}
	case state == nil && leaves:
		state = &streampb.MemberState{}
	}
	if user == "" || state == nil {
		return nil
	}
	m := &member{key: memberKey{e.Group, user}, state: state, joinedSeq: state.GetJoinedSeq(), ts: e.TS, seq: uint64(e.Seq)}
	if joins && m.joinedSeq == 0 { // whoever wrote it did not know yet where it would stand
		m.joinedSeq = m.seq
	}
	return m
}

func memberColumns(members []*member) []clickhouse.Column {
	return []clickhouse.Column{
		clickhouse.ColumnOf("group", members, func(m *member) string { return string(m.key.group) }),
		clickhouse.ColumnOf("user", members, func(m *member) string { return string(m.key.user) }),
		clickhouse.ColumnOf("role", members, func(m *member) string { return streams.RoleName(m.state.GetRole()) }),
		clickhouse.ColumnOf("joined", members, func(m *member) time.Time { return clickhouse.Time(m.state.GetJoined()) }),
		clickhouse.ColumnOf("joined_seq", members, func(m *member) uint64 { return m.joinedSeq }),
		clickhouse.ColumnOf("muted_until", members, func(m *member) int64 { return m.state.GetMutedUntil() }),
		clickhouse.ColumnOf("banned", members, func(m *member) bool { return m.state.GetBanned() }),
		clickhouse.ColumnOf("banned_until", members, func(m *member) int64 { return m.state.GetBannedUntil() }),
		clickhouse.ColumnOf("waiting", members, func(m *member) bool { return m.state.GetWaiting() }),
		clickhouse.ColumnOf("user_groups", members, func(m *member) []string { return m.state.GetUserGroups() }),
		clickhouse.ColumnOf("blocks_peer", members, func(m *member) bool { return m.state.GetBlocksPeer() }),
		clickhouse.ColumnOf("ts", members, func(m *member) time.Time { return clickhouse.Time(m.ts) }),
		clickhouse.ColumnOf("seq", members, func(m *member) uint64 { return m.seq }),
	}
}
