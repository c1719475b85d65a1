package groups

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// SettingsJSON is a group's or channel's settings as the tables hold them: an
// object of what is set, roles by their names. It is the same for the same
// settings, which protojson's is not, and takes new fields without a change.
func SettingsJSON(settings proto.Message) string {
	if settings == nil {
		return "{}"
	}
	var text bytes.Buffer
	text.WriteByte('{')
	message := settings.ProtoReflect()
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !message.Has(field) {
			continue
		}
		if text.Len() > 1 {
			text.WriteByte(',')
		}
		text.WriteByte('"')
		text.WriteString(string(field.Name()))
		text.WriteString(`":`)
		text.Write(settingJSON(field, message.Get(field)))
	}
	text.WriteByte('}')
	return text.String()
}

func settingJSON(field protoreflect.FieldDescriptor, value protoreflect.Value) []byte {
	plain := value.Interface()
	switch {
	case field.IsList():
		list := make([]any, value.List().Len())
		for i := range list {
			list[i] = value.List().Get(i).Interface()
		}
		plain = list
	case field.Kind() == protoreflect.EnumKind:
		plain = streams.RoleName(streampb.Role(value.Enum()))
	}
	data, err := json.Marshal(plain)
	if err != nil { // settings are booleans, numbers, names and lists of names
		panic(err)
	}
	return data
}
