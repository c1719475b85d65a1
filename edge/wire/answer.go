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
	if len(r.Current) > 0 {
		w.key("current")
		o := object(w.b)
		for _, a := range r.Current {
			o.keyText(a.Key)
			each := object(o.b)
			if a.V != 0 {
				each.text("value", a.Value)
			}
			each.number("v", uint64(a.V))
			o.b = each.end()
		}
		w.b = o.end()
	}
	return w.end()
}

// Empty is the ok object of commands that answer nothing.
func Empty() []byte { return []byte("{}") }

// AppendWritten appends the ok object of a writing command. Who named a user in
// the place of a group learns the group's name.
func AppendWritten(b []byte, c *Command, r *streampb.Result) []byte {
	w := object(b)
	name := c.Name
	switch name {
	case CreateGroup, UpdateGroup, DeleteGroup:
		w.text("group", string(c.Group))
	case CreateChannel, UpdateChannel, DeleteChannel:
		w.text("channel", r.GetChannel())
	case Invite:
		w.text("invite", c.Write.GetInvite().GetInvite())
		w.some("code", c.Code)
	default:
		if c.Peer != "" {
			w.text("group", string(c.Group))
		}
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
	if r.GetWaiting() {
		w.flag("waiting", true)
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
	Attrs  []byte   // channel @: its attributes as of V, from AppendAttributes; nil for none
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
	if s.Attrs != nil {
		w.raw("attrs", s.Attrs)
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
