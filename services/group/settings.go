package group

import (
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func defaultSettings(kind string) *streampb.Settings {
	s := &streampb.Settings{
		Join: "open", History: "all", MaxMessageBytes: streams.MaxBody,
		MentionAll: streampb.Role_ROLE_MODERATOR, Attrs: streampb.Role_ROLE_MODERATOR,
	}
	if kind == "room" {
		s.Attrs = streampb.Role_ROLE_MEMBER
	}
	return s
}

// patch returns a copy of s with what p names changed, or a rejection.
func patch(s *streampb.Settings, p *streampb.SettingsPatch) (*streampb.Settings, error) {
	s = proto.CloneOf(s)
	if p == nil {
		return s, nil
	}
	if p.Join != nil {
		if j := p.GetJoin(); j != "open" && j != "invite" && j != "approval" {
			return nil, streams.Reject(streams.BadRequest, "settings.join must be open, invite or approval")
		}
		s.Join = p.GetJoin()
	}
	if p.MuteAll != nil {
		s.MuteAll = p.GetMuteAll()
	}
	if p.History != nil {
		if h := p.GetHistory(); h != "all" && h != "since_join" {
			return nil, streams.Reject(streams.BadRequest, "settings.history must be all or since_join")
		}
		s.History = p.GetHistory()
	}
	if p.SlowModeMs != nil {
		if ms := p.GetSlowModeMs(); !validSlowMode(ms) {
			return nil, streams.Reject(streams.BadRequest, "settings.slow_mode_ms must be 0 to 6 hours")
		}
		s.SlowModeMs = p.GetSlowModeMs()
	}
	if p.MaxMessageBytes != nil {
		if b := p.GetMaxMessageBytes(); b < 1 || b > streams.MaxBody {
			return nil, streams.Reject(streams.BadRequest, "settings.max_message_bytes must be 1 to %d", streams.MaxBody)
		}
		s.MaxMessageBytes = p.GetMaxMessageBytes()
	}
	if p.MentionAll != nil {
		s.MentionAll = p.GetMentionAll()
	}
	if p.Attrs != nil {
		s.Attrs = p.GetAttrs()
	}
	if s.MentionAll < streampb.Role_ROLE_MEMBER || s.Attrs < streampb.Role_ROLE_MEMBER {
		return nil, streams.Reject(streams.BadRequest, "a least role must be member, moderator, admin or owner")
	}
	if max(s.MentionAll, s.Attrs, p.GetThreads()) > streampb.Role_ROLE_OWNER || p.GetThreads() < 0 {
		return nil, streams.Reject(streams.BadRequest, "a least role must be member, moderator, admin or owner")
	}
	if p.Threads != nil {
		s.Threads = p.GetThreads()
	}
	if ms := p.GetRoomIdleMs(); ms < 0 || ms > streams.MaxInteger {
		return nil, streams.Reject(streams.BadRequest, "settings.room_idle_ms must not be negative")
	}
	if p.RoomIdleMs != nil {
		s.RoomIdleMs = p.GetRoomIdleMs()
	}
	if ms := p.GetEditWindowMs(); ms < 0 || ms > streams.MaxInteger {
		return nil, streams.Reject(streams.BadRequest, "settings.edit_window_ms must not be negative")
	}
	if p.EditWindowMs != nil {
		s.EditWindowMs = p.GetEditWindowMs()
	}
	if h := p.GetHook(); h != "" && h != "open" && h != "closed" {
		return nil, streams.Reject(streams.BadRequest, "settings.hook must be open or closed")
	}
	if p.Hook != nil {
		s.Hook = p.GetHook()
	}
	return s, nil
}

// validSlowMode bounds a slow mode, in ms: who waits longer is muted.
func validSlowMode(ms int64) bool { return ms >= 0 && ms <= 6*60*60*1000 }
