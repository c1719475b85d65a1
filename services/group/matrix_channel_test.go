package group_test

import (
	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams/streampb"
)

// channelObjects are the matrix's of channels, message acts and attributes.
func channelObjects(a group.Action) []object {
	one := func(body any) []object { return []object{{body: body}} }
	switch a {
	case group.CreateThread:
		return one(&streampb.CreateChannel{Channel: "new", Kind: "thread", Parent: &streampb.Parent{Channel: "c", N: 1}})
	case group.UpdateChannel:
		return one(&streampb.UpdateChannel{Channel: "c", Settings: &streampb.ChannelSettingsPatch{Write: streampb.Role_ROLE_OWNER.Enum()}})
	case group.DeleteChannel:
		return one(&streampb.DeleteChannel{Channel: "c"})
	case group.SendRestricted:
		return one(&streampb.Send{Channel: "news", Type: "text", Body: []byte("x")})
	case group.React:
		return one(&streampb.React{Channel: "c", N: 1, Emoji: "+"})
	case group.PinMessage:
		return append(one(&streampb.Pin{Channel: "c", N: 1}), one(&streampb.Unpin{Channel: "c", N: 1})...)
	case group.SetAttribute:
		return append(one(&streampb.SetAttributes{Set: map[string]string{"key": "x"}}), one(&streampb.SetAttributes{Del: []string{"free"}})...)
	case group.OverrideProtected:
		return append(one(&streampb.SetAttributes{Channel: "c", Set: map[string]string{"kept": "x"}}), one(&streampb.SetAttributes{Channel: "c", Del: []string{"kept"}})...)
	}
	return nil
}

// furnish adds to the matrix's group what those need.
func furnish(l *live) {
	l.must("first", &streampb.CreateChannel{Channel: "news", Kind: "public", Settings: &streampb.ChannelSettingsPatch{
		Write: streampb.Role_ROLE_MODERATOR.Enum(),
	}})
	l.must("first", &streampb.SetAttributes{Set: map[string]string{"free": "x"}})
	l.must("first", &streampb.SetAttributes{Channel: "c", Set: map[string]string{"kept": "x"}, Protect: true})
}

// inMain puts a command into the one channel of a direct group.
func inMain(body any) {
	switch body := body.(type) {
	case *streampb.CreateChannel:
		if body.GetParent() != nil {
			body.Parent.Channel = "main"
		}
	case *streampb.UpdateChannel:
		body.Channel = "main"
	case *streampb.DeleteChannel:
		body.Channel = "main"
	case *streampb.React:
		body.Channel = "main"
	case *streampb.Pin:
		body.Channel = "main"
	case *streampb.Unpin:
		body.Channel = "main"
	case *streampb.SetAttributes:
		body.Channel = "main"
	}
}
