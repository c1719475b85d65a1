package wire

import (
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// settings reads a group's settings. Here unknown keys are refused: a setting
// that was misspelt would silently not hold.
func (f *fields) settings() *streampb.SettingsPatch {
	v := f.raw("settings")
	if v == nil {
		return nil
	}
	all, ok := members(v)
	if !ok {
		f.bad("settings must be an object")
		return nil
	}
	s := fields{all: all}
	patch := &streampb.SettingsPatch{}
	for _, m := range all {
		s.setting(patch, m.key)
	}
	f.refuse(s.err)
	return patch
}

func (f *fields) setting(patch *streampb.SettingsPatch, key string) {
	switch key {
	case "join":
		patch.Join = f.oneOf(key, "open", "invite", "approval")
	case "mute_all":
		if on, given := f.flag(key); given {
			patch.MuteAll = proto.Bool(on)
		}
	case "history":
		patch.History = f.oneOf(key, "all", "since_join")
	case "slow_mode_ms":
		patch.SlowModeMs = f.signed(key)
	case "max_message_bytes":
		patch.MaxMessageBytes = f.signed(key)
		if n := patch.GetMaxMessageBytes(); patch.MaxMessageBytes != nil && (n < 1 || n > streams.MaxBody) {
			f.bad("max_message_bytes must be 1 to %d", streams.MaxBody)
		}
	case "mention_all":
		if role, given := f.role(key); given {
			patch.MentionAll = role.Enum()
		}
	case "attrs":
		if role, given := f.role(key); given {
			patch.Attrs = role.Enum()
		}
	case "room_idle_ms":
		patch.RoomIdleMs = f.signed(key)
	case "edit_window_ms":
		patch.EditWindowMs = f.signed(key)
	case "threads":
		if role, given := f.role(key); given {
			patch.Threads = role.Enum()
		}
	case "hook":
		patch.Hook = f.oneOf(key, "", "open", "closed")
	default:
		f.bad("settings has a key that is no setting")
	}
}

func (f *fields) oneOf(name string, allowed ...string) *string {
	s, given := f.text(name)
	if !given {
		return nil
	}
	for _, a := range allowed {
		if s == a {
			return proto.String(s)
		}
	}
	f.bad("%s has a value it cannot have", name)
	return nil
}

func (f *fields) signed(name string) *int64 {
	n := f.number(name)
	if !n.Given {
		return nil
	}
	return proto.Int64(int64(n.Value))
}

func appendSettings(b []byte, s *streampb.Settings) []byte {
	o := object(b)
	o.text("join", s.GetJoin())
	o.flag("mute_all", s.GetMuteAll())
	o.text("history", s.GetHistory())
	o.signed("slow_mode_ms", s.GetSlowModeMs())
	o.signed("max_message_bytes", s.GetMaxMessageBytes())
	o.text("mention_all", streams.RoleName(s.GetMentionAll()))
	o.text("attrs", streams.RoleName(s.GetAttrs()))
	o.signed("room_idle_ms", s.GetRoomIdleMs())
	o.signed("edit_window_ms", s.GetEditWindowMs())
	threads := s.GetThreads()
	if threads == streampb.Role_ROLE_NONE {
		threads = streampb.Role_ROLE_MEMBER
	}
	o.text("threads", streams.RoleName(threads))
	o.some("hook", s.GetHook())
	return o.end()
}
