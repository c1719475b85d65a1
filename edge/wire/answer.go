package wire

import (
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// AppendOK appends the frame that answers id with an ok object.
func AppendOK(b []byte, id uint64, ok []byte) []byte {
	w := object(b)
	w.number("id", id)
	w.raw("ok", ok)
	return w.end()
}

// AppendError appends the frame that refuses id.
func AppendError(b []byte, id uint64, r *streams.Rejection) []byte {
	w := object(b)
	w.number("id", id)
	w.key("error")
	w.b = appendRejection(w.b, r)
	return w.end()
}

// AppendRefusal appends the body of a refusal over HTTP and NATS.
func AppendRefusal(b []byte, r *streams.Rejection) []byte {
	w := object(b)
	w.key("error")
	w.b = appendRejection(w.b, r)
	return w.end()
}

func appendRejection(b []byte, r *streams.Rejection) []byte {
	w := object(b)
	w.text("code", string(r.Code))
	w.text("message", r.Message)
	if r.RetryAfter > 0 {
		w.signed("retry_ms", max(1, r.RetryAfter.Milliseconds()))
	}
	return w.end()
}

// Empty is the ok object of commands that answer nothing.
func Empty() []byte { return []byte("{}") }

// AppendWritten appends the ok object of a writing command.
func AppendWritten(b []byte, name Name, group streams.Group, r *streampb.Result) []byte {
	w := object(b)
	switch name {
	case CreateGroup, UpdateGroup:
		w.text("group", string(group))
	case CreateChannel:
		w.text("channel", r.GetChannel())
	}
	w.number("v", r.GetV())
	if name == Send {
		w.number("n", r.GetN())
		w.number("seq", r.GetSeq())
		w.signed("ts", r.GetTs())
	}
	if r.GetDuplicate() {
		w.flag("duplicate", true)
	}
	if r.GetAlready() {
		w.flag("already", true)
	}
	return w.end()
}

// Missing is a range of versions: After < v <= Upto.
type Missing struct{ After, Upto streams.Version }

func appendMissing(b []byte, m Missing) []byte {
	w := object(b)
	w.number("after", uint64(m.After))
	w.number("upto", uint64(m.Upto))
	return w.end()
}

// Subscribed is the answer to subscribe.
type Subscribed struct {
	V      streams.Version
	N      streams.Number
	Log    string
	Events [][]byte // from AppendEvent, oldest first, ending at V
	Gap    *Missing // what was left out before them
	Attrs  bool     // channel @: say its attributes, of which there are none yet
}

// AppendSubscribed appends the ok object of subscribe.
func AppendSubscribed(b []byte, s Subscribed) []byte {
	w := object(b)
	w.number("v", uint64(s.V))
	w.number("n", uint64(s.N))
	w.text("log", s.Log)
	w.array("events", s.Events)
	if s.Gap != nil {
		w.key("gap")
		w.b = appendMissing(w.b, *s.Gap)
	}
	if s.Attrs {
		w.raw("attrs", Empty())
	}
	return w.end()
}

// AppendPulled appends the ok object of pull.
func AppendPulled(b []byte, events [][]byte, through streams.Version, more bool) []byte {
	w := object(b)
	w.array("events", events)
	w.number("through", uint64(through))
	w.flag("more", more)
	return w.end()
}

// AppendHistory appends the ok object of history; messages are from
// [AppendMessage].
func AppendHistory(b []byte, messages [][]byte, more bool) []byte {
	w := object(b)
	w.array("messages", messages)
	w.flag("more", more)
	return w.end()
}

// AppendGroup appends the ok object of group. The group's own channels @ and
// @members are left out: they are there in every group.
func AppendGroup(b []byte, group streams.Group, info *streampb.GroupInfo) []byte {
	w := object(b)
	w.text("group", string(group))
	w.text("kind", info.GetKind())
	w.text("name", info.GetName())
	w.text("role", streams.RoleName(info.GetRole()))
	w.key("settings")
	w.b = appendSettings(w.b, info.GetSettings())
	var channels [][]byte
	for _, c := range info.GetChannels() {
		if name := c.GetChannel(); name == "" || name[0] == '@' {
			continue
		}
		o := object(nil)
		o.text("channel", c.GetChannel())
		o.text("kind", c.GetKind())
		o.text("name", c.GetName())
		o.number("v", c.GetV())
		o.number("n", c.GetN())
		channels = append(channels, o.end())
	}
	w.array("channels", channels)
	w.number("members", info.GetMembers())
	w.number("v", info.GetV())
	w.signed("created", info.GetCreated())
	return w.end()
}

// AppendMembers appends the ok object of members.
func AppendMembers(b []byte, page *streampb.MemberPage) []byte {
	w := object(b)
	members := make([][]byte, 0, len(page.GetMembers()))
	for _, m := range page.GetMembers() {
		o := object(nil)
		o.text("user", m.GetUser())
		o.text("role", streams.RoleName(m.GetRole()))
		o.signed("joined", m.GetJoined())
		members = append(members, o.end())
	}
	w.array("members", members)
	w.some("after", page.GetAfter())
	w.number("count", page.GetCount())
	return w.end()
}

// Welcome is the answer to connect.
type Welcome struct {
	User      streams.User
	Device    streams.Device
	Session   string
	Time      int64 // ms since 1970 UTC
	Heartbeat time.Duration
	PullLimit uint64 // most events of one pull and messages of one history page
	Version   string // of the server
}

// AppendWelcome appends the ok object of connect.
func AppendWelcome(b []byte, c Welcome) []byte {
	w := object(b)
	w.text("user", string(c.User))
	w.text("device", string(c.Device))
	w.text("session", c.Session)
	w.signed("server_time", c.Time)
	w.signed("heartbeat_ms", c.Heartbeat.Milliseconds())
	w.key("limits")
	o := object(w.b)
	o.number("max_message_bytes", streams.MaxBody)
	o.number("max_frame_bytes", MaxFrame)
	o.signed("dedup_ms", streams.DedupWindow.Milliseconds())
	o.number("max_mentions", streams.MaxMentions)
	o.number("pull_limit", c.PullLimit)
	w.b = o.end()
	w.text("version", c.Version)
	return w.end()
}
