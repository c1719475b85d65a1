package streams

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/throng/throng/streams/streampb"
)

// Skimmer reads stored events for who folds millions of them. It leaves out
// what a fold takes no notice of: the contents of messages and edits, nearly
// all of a log. Everything else, and all that is not encoded as this version
// would, [UnmarshalEvent] reads. It has one owner; the zero value is ready.
type Skimmer struct {
	event    Event
	channels map[string]skimmedChannel // by how the names are encoded; as many as the log has
}

// skimmedChannel is names that were checked.
type skimmedChannel struct {
	group   Group
	channel Channel
}

// What messages and edits have as payload.
var (
	skimmedMessage = MessagePosted{&streampb.MessagePosted{}}
	skimmedEdit    = MessageEdited{&streampb.MessageEdited{}}
)

// Event is [UnmarshalEvent], with the same errors, but that a [MessagePosted]
// or [MessageEdited] may be empty. The event is the skimmer's again
// with the next call; what it points to is not.
func (s *Skimmer) Event(data []byte, seq Seq) (*Event, error) {
	if !s.skim(data) {
		return UnmarshalEvent(data, seq)
	}
	s.event.Seq = seq
	return &s.event, nil
}

// Fields of streampb.Event.
const (
	eventGroup     protowire.Number = 1
	eventChannel   protowire.Number = 2
	eventV         protowire.Number = 3
	eventN         protowire.Number = 4
	eventEpoch     protowire.Number = 5
	eventTS        protowire.Number = 6
	eventUser      protowire.Number = 7
	eventClientID  protowire.Number = 8
	eventPrev      protowire.Number = 9
	eventMentioned protowire.Number = 10
	eventAnswer    protowire.Number = 11
	eventAttempt   protowire.Number = 12
	eventMessage   protowire.Number = 20
	eventEdit      protowire.Number = 21
)

// skim reads an event whose fields are those of a message or an edit, each once
// at most and in their order; false for any other.
func (s *Skimmer) skim(data []byte) bool {
	e := &s.event
	*e = Event{}
	rest, ok := s.names(data)
	if !ok {
		return false
	}
	last := eventChannel
	for len(rest) > 0 {
		field, kind, length := protowire.ConsumeTag(rest)
		if length < 0 || field <= last {
			return false
		}
		rest, last = rest[length:], field
		switch kind {
		case protowire.VarintType:
			n, length := protowire.ConsumeVarint(rest)
			if length < 0 || !e.skimNumber(field, n) {
				return false
			}
			rest = rest[length:]
		case protowire.BytesType:
			b, length := protowire.ConsumeBytes(rest)
			if length < 0 || !e.skimBytes(field, b) {
				return false
			}
			rest = rest[length:]
		case protowire.Fixed32Type:
			n, length := protowire.ConsumeFixed32(rest)
			if length < 0 || field != eventAttempt {
				return false
			}
			e.Attempt, rest = n, rest[length:]
		default:
			return false
		}
	}
	return e.User != "" && e.Payload != nil
}

// names reads group and channel, which an event begins with. It looks both up
// at once, as they are encoded.
func (s *Skimmer) names(data []byte) (rest []byte, ok bool) {
	length := 0
	for field := eventGroup; field <= eventChannel; field++ {
		// A tag and a length of a byte each.
		if len(data) < length+2 || data[length] != byte(protowire.EncodeTag(field, protowire.BytesType)) || data[length+1] > MaxName {
			return nil, false
		}
		length += 2 + int(data[length+1])
	}
	if len(data) < length {
		return nil, false
	}
	c, known := s.channels[string(data[:length])]
	if !known {
		group := string(data[2 : 2+data[1]])
		channel := string(data[2+len(group)+2 : length])
		if !validName(group) || !validName(channel) {
			return nil, false
		}
		if s.channels == nil {
			s.channels = map[string]skimmedChannel{}
		}
		c = skimmedChannel{Group(group), Channel(channel)}
		s.channels[string(data[:length])] = c
	}
	s.event.Group, s.event.Channel = c.group, c.channel
	return data[length:], true
}

func (e *Event) skimNumber(field protowire.Number, n uint64) bool {
	switch field {
	case eventV:
		e.V = Version(n)
	case eventN:
		e.N = Number(n)
	case eventEpoch:
		e.Epoch = Epoch(n)
	case eventTS:
		e.TS = int64(n)
	case eventPrev:
		e.Prev = Seq(n)
	case eventMentioned:
		e.MentionAllCount = n
	case eventAnswer:
		e.Answer = n != 0
	default:
		return false
	}
	return true
}

func (e *Event) skimBytes(field protowire.Number, b []byte) bool {
	switch {
	case field == eventUser:
		e.User = User(b)
		return validName(string(e.User))
	case field == eventClientID:
		copy(e.ClientID[:], b)
		return len(b) == len(e.ClientID)
	case e.Payload != nil: // of two the last would count
	case field == eventMessage:
		e.Payload = skimmedMessage
		return wellFormed(b, messageFields)
	case field == eventEdit:
		e.Payload = skimmedEdit
		return wellFormed(b, editFields)
	}
	return false
}

// The fields of messages and edits by their numbers: string, bytes, number.
const (
	messageFields = " sbnsnsnnn"
	editFields    = " nbn"
)

// wellFormed reports whether b is of such fields alone.
func wellFormed(b []byte, fields string) bool {
	for len(b) > 0 {
		field, kind := protowire.DecodeTag(uint64(b[0]))
		if int(field) >= len(fields) || b[0] >= 1<<7 {
			return false
		}
		b = b[1:]
		length := -1
		switch is := fields[field]; {
		case kind == protowire.VarintType && is == 'n':
			_, length = protowire.ConsumeVarint(b)
		case kind == protowire.BytesType && (is == 's' || is == 'b'):
			var v []byte
			if v, length = protowire.ConsumeBytes(b); is == 's' && !utf8.Valid(v) {
				return false
			}
		}
		if length < 0 {
			return false
		}
		b = b[length:]
	}
	return true
}
