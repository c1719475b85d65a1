package streams_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// emptied is an event as a skimmer may return it.
func emptied(e *streams.Event) *streams.Event {
	switch e.Payload.(type) {
	case streams.MessagePosted:
		e.Payload = streams.MessagePosted{MessagePosted: &streampb.MessagePosted{}}
	case streams.MessageEdited:
		e.Payload = streams.MessageEdited{MessageEdited: &streampb.MessageEdited{}}
	}
	return e
}

func FuzzSkimmerReadsWhatUnmarshalEventReads(f *testing.F) {
	add := func(e *streampb.Event, more ...byte) {
		data, err := proto.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(data, more...))
	}
	whole := func(payload streams.Payload) []byte {
		data, err := streams.MarshalEvent(&streams.Event{
			Group: "g", Channel: "general", V: 1, N: 200, Epoch: 300_000, Prev: 5, TS: 1 << 40, User: "@u", ClientID: streams.ClientID{1, 15: 2},
			Answer: true, Attempt: 7, MentionAllCount: 8, Payload: payload,
		})
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	for _, payload := range payloads() {
		f.Add(whole(payload))
	}
	message := whole(streams.MessagePosted{MessagePosted: &streampb.MessagePosted{
		Type: "täxt", Body: []byte{0xff}, BodyJson: true, Mentions: []string{"a", "b"}, MentionAll: true,
		MentionRoles: []string{"r"}, ReplyTo: 9, Priority: streampb.Priority_PRIORITY_HIGH, Expires: -1,
	}})
	edit := whole(streams.MessageEdited{MessageEdited: &streampb.MessageEdited{Target: 1, Body: []byte("b"), BodyJson: true}})
	f.Add(message)
	f.Add(edit)
	f.Add(append(message[:len(message):len(message)], edit...))
	f.Add(append(message[:len(message):len(message)], 0xf8, 0x07, 1))       // a field of a later version
	f.Add(append(message[:len(message):len(message)], 0xa2, 0x01, 2, 8, 1)) // a type that is a number
	f.Add(message[:len(message)-1])
	text := &streampb.Event_Message{Message: &streampb.MessagePosted{}}
	add(&streampb.Event{Group: "g", Channel: "c", Payload: text})              // nobody's
	add(&streampb.Event{Group: "g.h", Channel: "c", User: "u", Payload: text}) // outside the alphabet
	add(&streampb.Event{Group: "g", User: "u", Payload: text})
	add(&streampb.Event{Group: "g", Channel: "c", User: "u", ClientId: []byte{1}, Payload: text})
	add(&streampb.Event{Group: "g", Channel: "c", User: "u"})
	add(&streampb.Event{Group: "g", Channel: "c", User: "u"}, 0xa2, 0x01, 3, 0x0a, 1, 0xff) // no UTF-8
	f.Fuzz(func(t *testing.T, data []byte) {
		var s streams.Skimmer
		if _, err := s.Event(message, 2); err != nil { // nothing of it is to stay
			t.Fatal(err)
		}
		got, gotErr := s.Event(data, 3)
		want, wantErr := streams.UnmarshalEvent(data, 3)
		if gotErr != nil || wantErr != nil {
			if gotErr == nil || wantErr == nil || gotErr.Error() != wantErr.Error() {
				t.Fatalf("got error %v, want %v", gotErr, wantErr)
			}
			return
		}
		gotData, gotErr := streams.MarshalEvent(emptied(got))
		wantData, wantErr := streams.MarshalEvent(emptied(want))
		if gotErr != nil || wantErr != nil || got.Seq != want.Seq || string(gotData) != string(wantData) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestSkimmerAllocatesForNoMessage(t *testing.T) {
	data, err := streams.MarshalEvent(&streams.Event{
		Group: "g", Channel: "general", V: 1, User: "u", Payload: streams.MessagePosted{MessagePosted: &streampb.MessagePosted{
			Type: "text", Body: make([]byte, 1000), Mentions: []string{"a"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var s streams.Skimmer
	allocated := testing.AllocsPerRun(100, func() {
		if _, err := s.Event(data, 1); err != nil {
			t.Fatal(err)
		}
	})
	if allocated > 1 { // the user's name
		t.Errorf("%v allocations for an event", allocated)
	}
}
