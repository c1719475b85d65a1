package logtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// row is what is compared of a row: its columns as text, after its key.
type row []any

// folded is what the tables beside events and messages must hold, by table and key.
type folded map[string]map[string]row

func (f folded) set(table, key string, values ...any) {
	if f[table] == nil {
		f[table] = map[string]row{}
	}
	f[table][key] = values
}

// bits is a truth as ClickHouse's toString writes a UInt8.
func bits(set bool) string {
	if set {
		return "1"
	}
	return "0"
}

// queries read each table as the fold has it: the key, and the other columns as
// text.
var queries = map[string]string{
	"reactions":       "concat(`group`, '/', channel, ' ', toString(n), ' ', emoji, ' ', user), [toString(toUnixTimestamp64Milli(ts)), toString(removed), toString(state_v)]",
	"reaction_counts": "concat(`group`, '/', channel, ' ', toString(n), ' ', emoji), [toString(count), toString(state_v)]",
	"members": "concat(`group`, '/', user), [role, toString(toUnixTimestamp64Milli(joined)), toString(joined_seq), toString(muted_until)," +
		" toString(banned), toString(banned_until), toString(waiting), arrayStringConcat(user_groups, ','), toString(blocks_peer)," +
		" toString(toUnixTimestamp64Milli(ts)), toString(seq)]",
	"attributes": "concat(`group`, '/', channel, ' ', key, ' v', toString(v)), [toString(seq), toString(toUnixTimestamp64Milli(ts)), user, value," +
		" toString(deleted), toString(auto_delete), toString(protected), reason]",
	"moderation": "concat(`group`, ' ', toString(seq)), [toString(v), toString(toUnixTimestamp64Milli(ts)), actor, act, member, channel, toString(n)," +
		" toString(until), role, arrayStringConcat(user_groups, ','), invite, reason]",
	"channels": "concat(`group`, '/', channel), [kind, name, parent_channel, toString(parent_n), toString(deleted)," +
		" toString(toUnixTimestamp64Milli(created)), user, toString(state_v)]",
}

// foldGroups is the obvious fold of all tables but events and messages.
func foldGroups(events []*streams.Event) folded {
	f := folded{}
	authors, users := map[string]string{}, map[string]map[string]bool{}
	for _, e := range events {
		here := fmt.Sprintf("%s/%s", e.Group, e.Channel)
		react := func(n uint64, emoji string, removed bool) {
			key := fmt.Sprintf("%s %d %s", here, n, emoji)
			f.set("reactions", key+" "+string(e.User), e.TS, bits(removed), e.V)
			if users[key] == nil {
				users[key] = map[string]bool{}
			}
			if users[key][string(e.User)] = true; removed {
				delete(users[key], string(e.User))
			}
			f.set("reaction_counts", key, len(users[key]), e.V)
		}
		switch p := e.Payload.(type) {
		case streams.MessagePosted:
			authors[fmt.Sprint(here, e.N)] = string(e.User)
		case streams.MessageRecalled:
			if author, ok := authors[fmt.Sprint(here, p.Target)]; ok && author != string(e.User) {
				f.moderate(e, "recall", author, string(e.Channel), p.Target, 0, "", "", "", "")
			}
		case streams.Reacted:
			react(p.Target, p.Emoji, false)
		case streams.Unreacted:
			react(p.Target, p.Emoji, true)
		case streams.AttributeSet:
			f.set("attributes", fmt.Sprintf("%s %s v%d", here, p.Key, e.V), e.Seq, e.TS, e.User, p.Value, 0, p.AutoDelete, p.Protected, "")
		case streams.AttributeDeleted:
			f.set("attributes", fmt.Sprintf("%s %s v%d", here, p.Key, e.V), e.Seq, e.TS, e.User, "", 1, false, false, p.Reason)
		case streams.ChannelCreated:
			f.set("channels", fmt.Sprintf("%s/%s", e.Group, p.Channel), p.Kind, p.Name, p.GetParent().GetChannel(), p.GetParent().GetN(), "0", e.TS, e.User, e.V)
		case streams.ChannelUpdated:
			if c := f["channels"][fmt.Sprintf("%s/%s", e.Group, p.Channel)]; c != nil {
				c[1], c[7] = p.Name, e.V
			}
		case streams.ChannelDeleted:
			if c := f["channels"][fmt.Sprintf("%s/%s", e.Group, p.Channel)]; c != nil {
				c[4], c[7] = "1", e.V
			}
			for at, c := range f["channels"] { // its threads go with it
				if strings.HasPrefix(at, string(e.Group)+"/") && c[2] == p.Channel && c[4] == "0" {
					c[4], c[7] = "1", e.V
				}
			}
		default:
			f.aboutMember(e)
		}
	}
	return f
}

func (f folded) moderate(e *streams.Event, act, member, channel string, n uint64, until int64, role, groups, invite, reason string) {
	f.set("moderation", fmt.Sprintf("%s %d", e.Group, e.Seq), e.V, e.TS, e.User, act, member, channel, n, until, role, groups, invite, reason)
}

// aboutMember folds an event of @members.
func (f folded) aboutMember(e *streams.Event) {
	stands := func(user string, s *streampb.MemberState) {
		seq := s.JoinedSeq
		if _, ok := e.Payload.(streams.MemberJoined); ok {
			seq = uint64(e.Seq)
		}
		f.set("members", fmt.Sprintf("%s/%s", e.Group, user), streams.RoleName(s.Role), s.Joined, seq, s.MutedUntil, s.Banned, s.BannedUntil,
			s.Waiting, strings.Join(s.UserGroups, ","), s.BlocksPeer, e.TS, e.Seq)
	}
	forEver := func(until int64) int64 {
		if until == 0 {
			return -1
		}
		return until
	}
	switch p := e.Payload.(type) {
	case streams.MemberJoined:
		state := p.State
		if state == nil {
			state = &streampb.MemberState{Role: p.Role, Joined: e.TS}
		}
		stands(p.Member, state)
		if p.Member != string(e.User) {
			f.moderate(e, "add", p.Member, "", 0, 0, streams.RoleName(p.Role), "", p.Invite, p.Reason)
		}
	case streams.MemberLeft:
		state := p.State
		if state == nil {
			state = &streampb.MemberState{}
		}
		stands(p.Member, state)
	case streams.RoleChanged:
		stands(p.Member, p.State)
		f.moderate(e, "role", p.Member, "", 0, 0, streams.RoleName(p.Role), "", "", p.Reason)
	case streams.MemberMuted:
		stands(p.Member, p.State)
		f.moderate(e, "mute", p.Member, "", 0, forEver(p.Until), "", "", "", p.Reason)
	case streams.MemberUnmuted:
		stands(p.Member, p.State)
		f.moderate(e, "unmute", p.Member, "", 0, 0, "", "", "", p.Reason)
	case streams.MemberBanned:
		stands(p.Member, p.State)
		f.moderate(e, "ban", p.Member, "", 0, forEver(p.Until), "", "", "", p.Reason)
	case streams.MemberUnbanned:
		stands(p.Member, p.State)
		f.moderate(e, "unban", p.Member, "", 0, 0, "", "", "", p.Reason)
	case streams.MemberKicked:
		stands(p.Member, p.State)
		f.moderate(e, "kick", p.Member, "", 0, 0, "", "", "", p.Reason)
	case streams.JoinRequested:
		stands(p.Member, p.State)
	case streams.JoinDeclined:
		stands(p.Member, p.State)
		f.moderate(e, "decline", p.Member, "", 0, 0, "", "", "", p.Reason)
	case streams.UserGroupsChanged:
		stands(p.Member, p.State)
		f.moderate(e, "user_groups", p.Member, "", 0, 0, "", strings.Join(p.State.UserGroups, ","), "", "")
	case streams.PeerBlocked:
		stands(p.Member, p.State)
	case streams.PeerUnblocked:
		stands(p.Member, p.State)
	case streams.InviteCreated:
		f.moderate(e, "invite", "", "", 0, forEver(p.Expires), "", "", p.Invite, "")
	case streams.InviteRevoked:
		f.moderate(e, "invite_revoke", "", "", 0, 0, "", "", p.Invite, "")
	}
}

// differenceOfGroups compares all tables but events and messages with the fold.
func differenceOfGroups(ctx context.Context, db *clickhouse.DB, events []*streams.Event) (string, error) {
	want := foldGroups(events)
	for table, query := range queries {
		got, wanted := map[string]string{}, map[string]string{}
		err := db.Query(ctx, "SELECT "+query+" FROM "+table+" FINAL", nil, func(scan func(...any) error) error {
			var key string
			var columns []string
			if err := scan(&key, &columns); err != nil {
				return err
			}
			if _, twice := got[key]; twice {
				return fmt.Errorf("%s %s is there twice", table, key)
			}
			got[key] = fmt.Sprintf("%q", columns)
			return nil
		})
		if err != nil {
			return "", err
		}
		for key, columns := range want[table] {
			text := make([]string, len(columns))
			for i, column := range columns {
				text[i] = fmt.Sprint(column)
			}
			wanted[key] = fmt.Sprintf("%q", text)
		}
		if d := compare(table, got, wanted); d != "" {
			return d, nil
		}
	}
	return "", nil
}
