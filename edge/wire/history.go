package wire

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Message is a message as it reads now.
type Message struct {
	N        streams.Number
	V        streams.Version
	Seq      streams.Seq
	TS       int64
	User     streams.User
	ClientID streams.ClientID
	Posted   *streampb.MessagePosted // with the current body
	EditedTS int64                   // ms since 1970 UTC, 0: never edited
	Recalled bool                    // then only N says anything, and Seq for who may see it
	Expired  bool                    // likewise
	// Reactions are those that at least one user has now, ascending by emoji.
	Reactions []Reaction
}

// Reaction is how many users have an emoji at a message.
type Reaction struct {
	Emoji string
	Count uint64
	Mine  bool // the reader is one of them
}

// AppendMessage appends a message of a history page. A recalled one is its
// number and that it was recalled, an expired one likewise.
func AppendMessage(b []byte, m *Message) []byte {
	w := object(b)
	w.number("n", uint64(m.N))
	if m.Recalled {
		w.flag("recalled", true)
		return w.end()
	}
	if m.Expired {
		w.flag("expired", true)
		return w.end()
	}
	w.number("v", uint64(m.V))
	w.number("seq", uint64(m.Seq))
	w.signed("ts", m.TS)
	w.text("user", string(m.User))
	w.clientID(m.ClientID)
	w.message(m.Posted)
	if m.EditedTS != 0 {
		w.signed("edited_ts", m.EditedTS)
	}
	if len(m.Reactions) > 0 {
		w.key("reactions")
		o := object(w.b)
		for _, r := range m.Reactions {
			o.keyText(r.Emoji)
			each := object(o.b)
			each.number("count", r.Count)
			each.flag("mine", r.Mine)
			o.b = each.end()
		}
		w.b = o.end()
	}
	return w.end()
}
