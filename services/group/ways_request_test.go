package group_test

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func (w *ways) user() streams.User {
	return pick[streams.User](w, "alice", "bob", "carol", "dave", "erin")
}

func pick[T any](w *ways, of ...T) T { return of[w.rng.IntN(len(of))] }

// request makes a command, by somebody who more often than not may do it.
func (w *ways) request() group.Request {
	r := group.Request{User: w.user(), Server: w.rng.IntN(3) == 0}
	if len(w.log) == 0 {
		r.Body = &streampb.CreateGroup{Kind: "room"}
		return r
	}
	n := uint64(1 + w.rng.IntN(4))
	c := pick(w, "a", "a", "b", "p", "p", "t", "u", "@")
	switch k := w.rng.IntN(100); {
	case k < 8:
		r.Body = &streampb.Join{}
	case k < 10:
		r.Body, r.Server = &streampb.Leave{}, false
	case k < 15:
		r.Body = &streampb.ActOnMember{
			User: string(w.user()), Act: streampb.Act(1 + w.rng.IntN(9)), Role: streampb.Role(1 + w.rng.IntN(4)),
			Until: pick(w, 0, w.now+500), UserGroups: pick(w, nil, []string{"x"}, []string{"x", "y"}),
		}
	case k < 17:
		r.Body = &streampb.AddMembers{Users: []string{string(w.user()), string(w.user()), string(w.user())}, Role: streampb.Role(w.rng.IntN(5))}
	case k < 33:
		r.Body = w.channelCommand(c)
	case k < 45:
		r.Body = &streampb.Send{Channel: c, Type: "text", Body: []byte("x"), MentionAll: w.rng.IntN(4) == 0}
	case k < 58:
		r.Body = pick[any](w, &streampb.Edit{Channel: c, N: n, Body: []byte("y")}, &streampb.Recall{Channel: c, N: n})
		r.Target = w.target(streams.Channel(c), n)
	case k < 73:
		emoji := pick(w, "+", "-", "!")
		r.Body = pick[any](w, &streampb.React{Channel: c, N: n, Emoji: emoji}, &streampb.React{Channel: c, N: n, Emoji: emoji},
			&streampb.Unreact{Channel: c, N: n, Emoji: emoji})
	case k < 78:
		r.Body = pick[any](w, &streampb.Pin{Channel: c, N: n}, &streampb.Unpin{Channel: c, N: n})
	case k < 92:
		r.Body = w.attributeCommand(c)
	case k < 95:
		r.Body = pick[any](w, &streampb.ReadAttributes{Channel: c}, &streampb.ReadGroup{}, &streampb.ReadAccess{}, &streampb.ReadSnapshot{}, &streampb.ReadMembers{})
	default:
		r.Body = &streampb.UpdateGroup{Name: proto.String(fmt.Sprint(w.now)), Settings: &streampb.SettingsPatch{
			MuteAll: proto.Bool(w.rng.IntN(3) == 0), EditWindowMs: proto.Int64(int64(w.rng.IntN(2) * 5000)),
		}}
	}
	return r
}

func (w *ways) channelCommand(c string) any {
	settings := &streampb.ChannelSettingsPatch{Position: proto.Int64(int64(w.rng.IntN(3))), Write: pick(w, streampb.Role_ROLE_MEMBER, streampb.Role_ROLE_ADMIN).Enum()}
	switch w.rng.IntN(10) {
	case 0:
		return &streampb.DeleteChannel{Channel: pick(w, "b", "u", "u", "u")}
	case 1, 2, 3, 4:
		update := &streampb.UpdateChannel{Channel: c, Name: proto.String(fmt.Sprint(w.now)), Settings: settings}
		if c == "p" {
			update.Add = []string{string(w.user())}
			if w.rng.IntN(2) == 0 {
				update.Add, update.Remove = nil, update.Add
			}
			settings.ReadGroups = &streampb.StringList{Values: pick(w, nil, []string{"y"})}
		}
		return update
	}
	create := &streampb.CreateChannel{Channel: c, Kind: "public"}
	switch c {
	case "p":
		create.Kind, create.Members = "private", []string{string(w.user())}
	case "t":
		create.Kind, create.Parent = "thread", &streampb.Parent{Channel: "p", N: uint64(w.rng.IntN(3))}
	case "u":
		create.Kind, create.Parent = "thread", &streampb.Parent{Channel: "b"}
	}
	return create
}

func (w *ways) attributeCommand(c string) any {
	key := func() string { return pick(w, "k", "l", "m", "n") }
	body := &streampb.SetAttributes{
		Channel: c, Set: map[string]string{key(): fmt.Sprint(w.now)},
		AutoDelete: w.rng.IntN(3) == 0, Protect: w.rng.IntN(8) == 0,
	}
	switch w.rng.IntN(4) {
	case 0:
		body.Set = nil
		body.Del = []string{key()}
	case 1:
		body.IfV = map[string]uint64{key(): uint64(w.rng.IntN(2))}
	case 2:
		body.Set[key()] = "second"
	}
	return body
}

func (w *ways) target(c streams.Channel, n uint64) *group.Target {
	for _, e := range w.log {
		if e.Channel == c && uint64(e.N) == n && e.Kind() == streams.KindMessage {
			return &group.Target{Author: e.User, TS: e.TS}
		}
	}
	return nil
}
