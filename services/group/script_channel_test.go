package group_test

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// each runs a line for every number of a range in the place of %d. It tells
// what the last led to, and how many were refused if any but the last was.
func (s *script) each(from, to int64, line string) []string {
	var last []string
	refused := 0
	for i := from; i <= to; i++ {
		last = s.line(strings.ReplaceAll(line, "%d", strconv.FormatInt(i, 10)))
		if i < to && strings.HasPrefix(last[0], "refused") {
			refused++
		}
	}
	if refused > 0 {
		last = append(last, fmt.Sprintf("and %d refused before", refused))
	}
	return last
}

// load brings what a command needs into memory; a script's group has no
// snapshot, so what is not there was never written.
func (s *script) load(r group.Request) {
	for missing := s.state.Missing(r); len(missing) > 0; missing = s.state.Missing(r) {
		for _, e := range missing {
			if err := s.state.Restore(e, nil); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// current is what a refused comparison found.
func current(r *streams.Rejection) string {
	text := ""
	for _, now := range r.Current {
		text += fmt.Sprintf(" %s=%q v=%d", now.Key, now.Value, now.V)
	}
	return text
}

// list reads names separated by commas.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// long repeats what stands before a *: "x*3" is "xxx".
func (s *script) long(text string) string {
	part, times, found := strings.Cut(text, "*")
	if !found {
		return text
	}
	return strings.Repeat(part, int(s.number(times)))
}

// many is a list, or with "u*3" the names u1, u2 and u3.
func (s *script) many(text string) []string {
	part, times, found := strings.Cut(text, "*")
	if !found {
		return list(text)
	}
	names := make([]string, s.number(times))
	for i := range names {
		names[i] = fmt.Sprint(part, i+1)
	}
	return names
}

func (s *script) channelBody(command string, f map[string]string) any {
	n := uint64(0)
	if f["n"] != "" {
		n = uint64(s.number(f["n"]))
	}
	switch command {
	case "create_channel":
		body := &streampb.CreateChannel{
			Channel: f["channel"], Kind: f["kind"], Name: s.long(f["name"]), Members: s.many(f["members"]), Settings: s.channelSettings(f),
		}
		if parent, ok := f["parent"]; ok {
			c, at, _ := strings.Cut(parent, "/")
			body.Parent = &streampb.Parent{Channel: c, N: uint64(s.number("0" + at))}
		}
		return body
	case "update_channel":
		body := &streampb.UpdateChannel{Channel: f["channel"], Add: s.many(f["add"]), Remove: s.many(f["remove"]), Settings: s.channelSettings(f)}
		if name, ok := f["name"]; ok {
			body.Name = proto.String(s.long(name))
		}
		return body
	case "delete_channel":
		return &streampb.DeleteChannel{Channel: f["channel"], Reason: f["reason"]}
	case "react":
		return &streampb.React{Channel: f["channel"], N: n, Emoji: s.long(f["emoji"])}
	case "unreact":
		return &streampb.Unreact{Channel: f["channel"], N: n, Emoji: s.long(f["emoji"])}
	case "pin":
		return &streampb.Pin{Channel: f["channel"], N: n}
	case "unpin":
		return &streampb.Unpin{Channel: f["channel"], N: n}
	case "attr_set":
		return s.attrSet(f)
	case "attrs":
		return &streampb.ReadAttributes{Channel: f["channel"], After: f["after"]}
	case "snapshot":
		return &streampb.ReadSnapshot{}
	}
	return nil
}

// attrSet reads set=a:1,b:2 del=c,d if_v=a:4; set=k*100 sets k1 to k100.
func (s *script) attrSet(f map[string]string) *streampb.SetAttributes {
	body := &streampb.SetAttributes{
		Channel: f["channel"], Del: s.many(f["del"]), Set: map[string]string{}, IfV: map[string]uint64{},
		AutoDelete: f["auto_delete"] != "", Protect: f["protect"] != "",
	}
	for _, pair := range list(f["set"]) {
		key, value, _ := strings.Cut(pair, ":")
		if part, times, found := strings.Cut(key, "#"); found {
			for i := range s.number(times) {
				body.Set[fmt.Sprint(part, i+1)] = s.long(value)
			}
			continue
		}
		body.Set[s.long(key)] = s.long(value)
	}
	for _, pair := range list(f["if_v"]) {
		key, v, _ := strings.Cut(pair, ":")
		body.IfV[key] = uint64(s.number(v))
	}
	return body
}

func (s *script) channelSettings(f map[string]string) *streampb.ChannelSettingsPatch {
	patch := &streampb.ChannelSettingsPatch{}
	if v, ok := f["write"]; ok {
		role, _ := streams.ParseRole(v)
		patch.Write = &role
	}
	if v, ok := f["write_groups"]; ok {
		patch.WriteGroups = &streampb.StringList{Values: s.many(v)}
	}
	if v, ok := f["read_groups"]; ok {
		patch.ReadGroups = &streampb.StringList{Values: s.many(v)}
	}
	if v, ok := f["slow"]; ok {
		patch.SlowModeMs = proto.Int64(s.number(v))
	}
	if v, ok := f["position"]; ok {
		patch.Position = proto.Int64(s.number(v))
	}
	if v, ok := f["category"]; ok {
		patch.Category = proto.String(s.long(v))
	}
	if proto.Size(patch) == 0 && patch.WriteGroups == nil && patch.ReadGroups == nil {
		return nil
	}
	return patch
}

func (s *script) laterSettings(patch *streampb.SettingsPatch, f map[string]string) {
	if v, ok := f["edit_window_ms"]; ok {
		patch.EditWindowMs = proto.Int64(s.number(v))
	}
	for _, of := range []struct {
		field string
		role  **streampb.Role
	}{{"threads", &patch.Threads}, {"attrs", &patch.Attrs}, {"least_mention_all", &patch.MentionAll}} {
		if v, ok := f[of.field]; ok {
			role, _ := streams.ParseRole(v)
			*of.role = &role
		}
	}
	if v, ok := f["hook"]; ok {
		patch.Hook = &v
	}
}

// stands puts a user where an act of moderation would: role=admin,
// user_groups=a,b, muted_until=5000. The scripts of members show the acts.
func (s *script) stands(words []string) {
	state := &streampb.MemberState{Role: streampb.Role_ROLE_MEMBER}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "role":
			state.Role, _ = streams.ParseRole(value)
		case "user_groups":
			state.UserGroups = list(value)
		case "muted_until":
			state.MutedUntil = s.number(value)
		}
	}
	s.apply(&streams.Event{Channel: streams.MembersChannel, User: "alice", Payload: streams.RoleChanged{RoleChanged: &streampb.RoleChanged{
		Member: words[0], Role: state.GetRole(), State: state,
	}}})
}

// gone ends a user's presence.
func (s *script) gone(u streams.User) []string {
	var results []string
	for _, e := range s.state.AutoDelete(u) {
		results = append(results, s.apply(e))
	}
	return results
}
