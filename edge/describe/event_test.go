package describe_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/throng/throng/edge/describe/describetest"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// words that fields of the stored form have; others are "x".
var stored = map[protoreflect.FullName]string{
	"throng.stream.v1.GroupUpdated.kind":           "room",
	"throng.stream.v1.GroupInfo.kind":              "room",
	"throng.stream.v1.ChannelInfo.kind":            "thread",
	"throng.stream.v1.ChannelCreated.kind":         "thread",
	"throng.stream.v1.Settings.join":               "open",
	"throng.stream.v1.Settings.history":            "all",
	"throng.stream.v1.Settings.hook":               "open",
	"throng.stream.v1.MessagePosted.mention_roles": "admin",
}

// fill gives every field a value that is not its zero.
func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap():
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			fill(m.Mutable(f).List().AppendMutable().Message())
		case f.IsList():
			m.Mutable(f).List().Append(filler(f))
		case f.Kind() == protoreflect.MessageKind:
			fill(m.Mutable(f).Message())
		default:
			m.Set(f, filler(f))
		}
	}
}

func filler(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		if word := stored[f.FullName()]; word != "" {
			return protoreflect.ValueOfString(word)
		}
		return protoreflect.ValueOfString("x")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("{}")) // also a body of JSON
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(5)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(5)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(5)
	}
	panic(fmt.Sprintf("%s is a %s", f.FullName(), f.Kind()))
}

// filled is a message of the stored form with a value everywhere.
func filled[M proto.Message](m M) M {
	fill(m.ProtoReflect())
	return m
}

// everyEvent is one event of each kind there is in the stored form, with all
// its fields or with none.
func everyEvent(t testing.TB, full bool) (events []*streams.Event) {
	t.Helper()
	payloads := (&streampb.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("payload").Fields()
	for i := range payloads.Len() {
		pb := &streampb.Event{Group: "g", Channel: "@", V: 3, N: 2, Ts: 5, User: "u"}
		payload := pb.ProtoReflect().Mutable(payloads.Get(i)).Message()
		if full {
			id := streams.MakeClientID(1, [10]byte{})
			pb.ClientId = id.Bytes()
			fill(payload)
		}
		data, err := proto.Marshal(pb)
		if err != nil {
			t.Fatal(err)
		}
		e, err := streams.UnmarshalEvent(data, 9)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func names(t testing.TB, object []byte) []string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return slices.Sorted(maps.Keys(members))
}

// redacted is how an event is told, beside what the log says, when the reader
// may not know it or it is gone.
func redacted(e *streams.Event) [][]byte {
	forms := [][]byte{wire.AppendHidden(nil, e)}
	switch e.Payload.(type) {
	case streams.MessagePosted:
		forms = append(forms, wire.AppendExpired(nil, e), wire.AppendRecalled(nil, e))
	case streams.MessageEdited:
		forms = append(forms, wire.AppendRecalled(nil, e))
	}
	return forms
}

// wrongEvents tells where events and their description differ.
func wrongEvents(t testing.TB, c *describetest.Contract) (problems []string) {
	t.Helper()
	note := func(err error) {
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	bare := everyEvent(t, false)
	for i, e := range everyEvent(t, true) {
		line := wire.AppendEvent(nil, e)
		component := string(e.Kind()) + "_event"
		note(c.Component(component, line))
		note(c.Component("event", line)) // of exactly one kind
		for _, form := range redacted(e) {
			note(c.Component("event", form))
		}
		described, always := c.Properties(component), c.Required(component)
		described = slices.DeleteFunc(described, func(name string) bool { return name == "recalled" || name == "expired" })
		if got := names(t, line); !slices.Equal(got, described) {
			problems = append(problems, fmt.Sprintf("%s: has %v, described are %v", component, got, described))
		}
		if got := names(t, wire.AppendEvent(nil, bare[i])); !slices.Equal(got, always) {
			problems = append(problems, fmt.Sprintf("%s: has always %v, described as required are %v", component, got, always))
		}
	}
	return problems
}

func TestEventsOfEveryKindAreAsDescribed(t *testing.T) {
	c := contract(t)
	for _, problem := range wrongEvents(t, c) {
		t.Error(problem)
	}
	if unmet := c.Unmet("schemas/event"); len(unmet) > 0 {
		t.Errorf("described and never there: %v", unmet)
	}
}
