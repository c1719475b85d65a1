package describe

import (
	"fmt"

	"github.com/throng/throng/streams"
)

// The alphabets of package streams and of edge/wire.
var (
	namePattern  = fmt.Sprintf(`^[@A-Za-z0-9_-][A-Za-z0-9_-]{0,%d}$`, streams.MaxName-1)
	ownPattern   = fmt.Sprintf(`^[A-Za-z0-9_-]{1,%d}$`, streams.MaxName)
	keyPattern   = fmt.Sprintf(`^[A-Za-z0-9_.:+=-]{1,%d}$`, streams.MaxAttributeKey)
	typePattern  = fmt.Sprintf(`^[A-Za-z0-9_.-]{1,%d}$`, streams.MaxType)
	emojiPattern = `^[^\s\x00-\x1f\x7f-\x9f]+$`
	uuidPattern  = `^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`
)

// The words of the contract for roles and kinds.
var (
	roles        = []string{"member", "moderator", "admin", "owner"}
	groupKinds   = []string{"community", "room", "direct"}
	channelKinds = []string{"public", "private", "thread"}
)

// identifier is the name of a group, channel, user or device.
func identifier(about string) *schema {
	return &schema{Type: "string", Pattern: namePattern, About: about}
}

// own is a name the server does not keep for itself.
func own(about string) *schema { return &schema{Type: "string", Pattern: ownPattern, About: about} }

func group() field   { return must("group", identifier("the group")) }
func channel() field { return must("channel", identifier("the channel")) }

func text(about string) *schema { return &schema{Type: "string", About: about} }

// words is text of at most limit bytes.
func words(limit int, about string) *schema {
	return &schema{Type: "string", MaxLength: limit, About: besides(about, fmt.Sprintf("at most %d bytes", limit))}
}

func reason() field { return may("reason", words(streams.MaxReason, "why, for people")) }

// integer is a number from least on.
func integer(least int64, about string) *schema {
	most := int64(streams.MaxInteger)
	return &schema{Type: "integer", Minimum: &least, Maximum: &most, About: about}
}

func count(about string) *schema    { return integer(0, about) }
func ordinal(about string) *schema  { return integer(1, about) }
func millis(about string) *schema   { return integer(0, besides(about, "ms since 1970 UTC")) }
func duration(about string) *schema { return integer(0, besides(about, "in ms")) }

func version() field { return must("v", ordinal("the event's version in its channel")) }

// besides joins what a value is and in which unit.
func besides(about, unit string) string {
	if about == "" {
		return unit
	}
	return about + "; " + unit
}

func flag(about string) *schema { return &schema{Type: "boolean", About: about} }

// set is a flag that is left out where it does not hold.
func set(about string) *schema { return &schema{Const: true, About: about} }

func oneOf(about string, values ...string) *schema {
	return &schema{Type: "string", Enum: values, About: about}
}

func role(about string) *schema { return oneOf(about, roles...) }

// list is at most most of an item; 0 for no limit that clients need to know.
func list(most int, item *schema, about string) *schema {
	return &schema{Type: "array", Items: item, MaxItems: most, About: about}
}

func users(about string) *schema {
	return list(streams.MaxAddressed, identifier(""), about)
}

func userGroups(about string) *schema { return list(streams.MaxUserGroups, identifier(""), about) }

func attributeKey(about string) *schema {
	return &schema{Type: "string", Pattern: keyPattern, About: about}
}

// byKey is an object whose keys are those of attributes.
func byKey(most int, value *schema, about string) *schema {
	return &schema{Type: "object", PropertyNames: attributeKey(""), AdditionalProperties: value, MaxProperties: most, About: about}
}

func clientID(about string) *schema {
	return &schema{Type: "string", Pattern: uuidPattern, About: about}
}

// body is what a message says, a text of at least so many characters or an
// object.
func body(least int, about string) *schema {
	s := &schema{
		AnyOf: []*schema{{Type: "string", MinLength: least, MaxLength: streams.MaxBody}, {Type: "object"}},
		About: fmt.Sprintf("%s: text, or a JSON object for a type of one's own; at most %d bytes", about, streams.MaxBody),
	}
	if least > 0 {
		s.About += ", not empty"
	}
	return s
}

func emoji() *schema {
	return &schema{
		Type: "string", Pattern: emojiPattern, MaxLength: streams.MaxEmoji,
		About: fmt.Sprintf("1 to %d bytes without white space and control characters", streams.MaxEmoji),
	}
}

func messageType(about string) *schema {
	return &schema{Type: "string", Pattern: typePattern, About: about}
}
