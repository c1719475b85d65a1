package wire

import (
	"time"

	"github.com/throng/throng/streams"
)

// BlockEvents is the most events one block frame holds.
const BlockEvents = 10

// AppendBlock appends the frame that delivers events of one channel, in order
// of v; events are from [AppendEvent].
func AppendBlock(b []byte, group streams.Group, channel streams.Channel, events [][]byte) []byte {
	w := object(b)
	w.key("block")
	o := object(w.b)
	o.text("group", string(group))
	o.text("channel", string(channel))
	o.array("events", events)
	w.b = o.end()
	return w.end()
}

// Head is how far a channel is.
type Head struct {
	Group   streams.Group
	Channel streams.Channel
	V       streams.Version
	N       streams.Number
	Mention bool // something since the last frame mentions the reader
	// Members is how many members the group has now, on @members; 0 if it is not
	// known, as no group that is there is empty.
	Members uint64
}

// AppendHeads appends the frame that says how far channels in mode hint are now.
func AppendHeads(b []byte, heads []Head) []byte {
	list := make([][]byte, len(heads))
	for i, h := range heads {
		o := object(nil)
		o.text("group", string(h.Group))
		o.text("channel", string(h.Channel))
		o.number("v", uint64(h.V))
		o.number("n", uint64(h.N))
		o.flag("mention", h.Mention)
		if h.Members > 0 {
			o.number("members", h.Members)
		}
		list[i] = o.end()
	}
	w := object(b)
	w.array("heads", list)
	return w.end()
}

// AppendGap appends the frame that says what is not delivered.
func AppendGap(b []byte, group streams.Group, channel streams.Channel, m Missing) []byte {
	w := object(b)
	w.key("gap")
	o := object(w.b)
	o.text("group", string(group))
	o.text("channel", string(channel))
	o.number("after", uint64(m.After))
	o.number("upto", uint64(m.Upto))
	w.b = o.end()
	return w.end()
}

// AppendLeft appends the frame that tells a user of a group that is no longer
// in the own list.
func AppendLeft(b []byte, group streams.Group) []byte {
	w := object(b)
	w.key("conversation")
	o := object(w.b)
	o.text("group", string(group))
	o.flag("left", true)
	w.b = o.end()
	return w.end()
}

// AppendRemoved appends the frame that tells a user of a channel that is no
// longer there for them: they were taken out of it, or it was deleted.
func AppendRemoved(b []byte, group streams.Group, channel streams.Channel) []byte {
	w := object(b)
	w.key("conversation")
	o := object(w.b)
	o.text("group", string(group))
	o.text("channel", string(channel))
	o.flag("left", true)
	w.b = o.end()
	return w.end()
}

// AppendSignal appends the frame that passes a signal on.
func AppendSignal(b []byte, group streams.Group, channel streams.Channel, user streams.User, h *Hint) []byte {
	w := object(b)
	w.key("signal")
	o := object(w.b)
	o.text("group", string(group))
	o.text("channel", string(channel))
	o.text("user", string(user))
	o.text("type", h.Type)
	o.key("data")
	o.line(h.Data)
	w.b = o.end()
	return w.end()
}

// AppendBye appends the last frame of a session.
func AppendBye(b []byte, reason string, retry time.Duration) []byte {
	w := object(b)
	w.key("bye")
	o := object(w.b)
	o.text("reason", reason)
	o.signed("retry_ms", retry.Milliseconds())
	w.b = o.end()
	return w.end()
}
