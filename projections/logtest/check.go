package logtest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
)

// Difference compares the tables with the fold of the events, row for row, and
// returns what is wrong, empty for nothing. The fold here is the obvious one,
// written apart from the one it checks.
func Difference(ctx context.Context, db *clickhouse.DB, events []*streams.Event) (string, error) {
	wantEvents, wantMessages := map[string]string{}, map[string]string{}
	type state struct {
		v, seq          uint64
		ts              int64
		user, id, body  string
		json, all       bool
		mentions, roles []string
		reply           uint64
		expires, edited int64
		recalled        bool
		stateV          uint64
	}
	messages := map[string]*state{}
	for _, e := range events {
		data, err := streams.MarshalEvent(e)
		if err != nil {
			return "", err
		}
		wantEvents[fmt.Sprintf("%s/%s v%d", e.Group, e.Channel, e.V)] = fmt.Sprintf("%d %d %q", e.Seq, e.N, data)
		key := func(n uint64) string { return fmt.Sprintf("%s/%s n%d", e.Group, e.Channel, n) }
		switch p := e.Payload.(type) {
		case streams.MessagePosted:
			messages[key(uint64(e.N))] = &state{
				v: uint64(e.V), seq: uint64(e.Seq), ts: e.TS, user: string(e.User), id: e.ClientID.String(), body: string(p.Body),
				json: p.BodyJson, all: p.MentionAll, mentions: p.Mentions, roles: p.MentionRoles, reply: p.ReplyTo,
				expires: p.Expires, stateV: uint64(e.V),
			}
		case streams.MessageEdited:
			if m := messages[key(p.Target)]; m != nil && !m.recalled {
				m.body, m.json, m.edited, m.stateV = string(p.Body), p.BodyJson, e.TS, uint64(e.V)
			}
		case streams.MessageRecalled:
			if m := messages[key(p.Target)]; m != nil && !m.recalled {
				m.body, m.json, m.all, m.mentions, m.roles, m.recalled, m.stateV = "", false, false, nil, nil, true, uint64(e.V)
			}
		}
	}
	text := func(m state) string {
		return fmt.Sprintf("v%d seq%d %d %s %s %q json=%v all=%v %q %q re%d ex%d ed%d recalled=%v sv%d", m.v, m.seq, m.ts, m.user, m.id,
			m.body, m.json, m.all, m.mentions, m.roles, m.reply, m.expires, m.edited, m.recalled, m.stateV)
	}
	for key, m := range messages {
		wantMessages[key] = text(*m)
	}
	gotEvents, gotMessages := map[string]string{}, map[string]string{}
	const eventsQuery = "SELECT concat(`group`, '/', channel, ' v', toString(v)), seq, n, payload FROM events FINAL"
	err := db.Query(ctx, eventsQuery, nil, func(scan func(...any) error) error {
		var key string
		var seq, n uint64
		var data []byte
		if err := scan(&key, &seq, &n, &data); err != nil {
			return err
		}
		if _, twice := gotEvents[key]; twice {
			return fmt.Errorf("event %s is there twice", key)
		}
		gotEvents[key] = fmt.Sprintf("%d %d %q", seq, n, data)
		return nil
	})
	if err != nil {
		return "", err
	}
	const messagesQuery = "SELECT concat(`group`, '/', channel, ' n', toString(n)), v, seq, toUnixTimestamp64Milli(ts), user, toString(client_id)," +
		" body, body_json, mention_all, mentions, mention_roles, reply_to, expires, toUnixTimestamp64Milli(edited_ts), recalled = 1, state_v" +
		" FROM messages FINAL"
	err = db.Query(ctx, messagesQuery, nil, func(scan func(...any) error) error {
		var key string
		var m state
		var recalled uint8
		if err := scan(&key, &m.v, &m.seq, &m.ts, &m.user, &m.id, &m.body, &m.json, &m.all, &m.mentions, &m.roles, &m.reply,
			&m.expires, &m.edited, &recalled, &m.stateV); err != nil {
			return err
		}
		m.recalled = recalled == 1
		if _, twice := gotMessages[key]; twice {
			return fmt.Errorf("message %s is there twice", key)
		}
		gotMessages[key] = text(m)
		return nil
	})
	if err != nil {
		return "", err
	}
	if d := compare("event", gotEvents, wantEvents); d != "" {
		return d, nil
	}
	if d := compare("message", gotMessages, wantMessages); d != "" {
		return d, nil
	}
	return differenceOfGroups(ctx, db, events)
}

func compare(what string, got, want map[string]string) string {
	var wrong []string
	for key, w := range want {
		if g, ok := got[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s %s is missing", what, key))
		} else if g != w {
			wrong = append(wrong, fmt.Sprintf("%s %s:\n got %s\nwant %s", what, key, g, w))
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s %s is not in the log", what, key))
		}
	}
	if len(wrong) == 0 {
		return ""
	}
	slices.Sort(wrong)
	return fmt.Sprintf("%d of %d differ, first: %s", len(wrong), len(want), wrong[0])
}

// DB opens a database for a test and makes its tables.
func DB(t testing.TB, dsn string) *clickhouse.DB {
	t.Helper()
	db, err := clickhouse.Open(clickhouse.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}
