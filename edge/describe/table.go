package describe

import (
	"fmt"
	"strings"
)

// Table is docs/api.md: the documents for people.
func Table() string {
	var b strings.Builder
	b.WriteString("# Commands, events and frames, field by field\n\n" +
		"Generated from `edge/describe` by `go test ./edge/describe -run TablesAreDocumented -update`. Every edge serves the same, with all\n" +
		"rules, as OpenAPI 3.1 at `/v1/openapi.json` (HTTP) and AsyncAPI 3.0 at `/v1/asyncapi.json` (WebSocket). What the commands do is\n" +
		"told in [groups.md](groups.md), codes of refusals in [errors.md](errors.md).\n\n" +
		"A field with `?` may be missing; null is the same. Objects may have further fields in what clients send, and have none in what\n" +
		"the server sends. An integer is digits only, below 2^53.\n\n## Commands\n\nAll but `connect` take `as` and `ts`, and `client_id` those that say so:\n\n")
	rows(&b, (&command{writes: true}).common())
	all := commands()
	for i := range all {
		c := &all[i]
		over := "WebSocket, HTTP, NATS"
		if c.socket {
			over = "WebSocket"
		}
		if c.writes {
			over += ". Takes a `client_id`"
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s. Over %s.\n\n", c.name, c.about, over)
		rows(&b, c.fields)
		b.WriteString("\nAnswer:\n\n")
		shapes(&b, c.answer)
	}
	b.WriteString("\n## Events\n\nEach has these:\n\n")
	rows(&b, append(place("…"), author()...))
	b.WriteString("\n`hidden` has neither `user` nor `client_id`.\n")
	for _, k := range eventKinds() {
		fmt.Fprintf(&b, "\n### event %s\n\n", k.kind)
		if k.about != "" {
			b.WriteString(k.about + "\n\n")
		}
		rows(&b, k.fields)
	}
	b.WriteString("\n## What the server sends by itself\n")
	for _, f := range frames() {
		fmt.Fprintf(&b, "\n### frame %s\n\n%s\n\n", f.name, f.about)
		shapes(&b, f.schema)
	}
	b.WriteString("\n## Parts\n")
	for _, part := range components() {
		if part.name == "event" || strings.HasSuffix(part.name, "_event") {
			continue
		}
		fmt.Fprintf(&b, "\n### part %s\n\n", part.name)
		shapes(&b, part.schema)
	}
	return b.String()
}

// shapes is the fields of an object, or of each that it may be.
func shapes(b *strings.Builder, s *schema) {
	if s.Type == "array" {
		b.WriteString("A list of objects:\n\n")
		s = s.Items
	}
	for i, each := range append([]*schema{s}, s.OneOf...) {
		if i == 0 && len(s.OneOf) > 0 {
			continue
		}
		if i > 1 {
			b.WriteString("\nor\n\n")
		}
		rows(b, each.Properties)
	}
}

// rows is a table of fields.
func rows(b *strings.Builder, fields []field) {
	if len(fields) == 0 {
		b.WriteString("nothing\n")
		return
	}
	b.WriteString("| field | is | |\n|---|---|---|\n")
	for _, f := range fields {
		name := f.name
		if !f.required {
			name += "?"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, f.schema.words(), strings.ReplaceAll(f.schema.About, "|", "\\|"))
	}
}

// words says what a value is, in short.
func (s *schema) words() string {
	switch {
	case s.Ref != "":
		name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		return fmt.Sprintf("[%s](#%s)", name, anchor(name))
	case s.Const != nil:
		return fmt.Sprintf("`%v`", s.Const)
	case len(s.Enum) > 0:
		return quoted(s.Enum)
	case s.Type == "array":
		return "list of " + s.Items.words() + most(s.MaxItems)
	case s.Type == "object" && s.AdditionalProperties != nil && !s.AdditionalProperties.nothing:
		return "object of " + s.AdditionalProperties.words() + most(s.MaxProperties)
	case s.Type == "object" && len(s.Properties) == 0:
		return "object"
	case s.Type == "object":
		names := make([]string, len(s.Properties))
		for i, f := range s.Properties {
			names[i] = f.name
		}
		return "`{" + strings.Join(names, ", ") + "}`"
	case len(s.AnyOf) > 0:
		forms := make([]string, len(s.AnyOf))
		for i, form := range s.AnyOf {
			forms[i] = form.words()
		}
		return strings.Join(forms, " or ")
	case s.Type == "integer":
		return fmt.Sprintf("integer from %d", *s.Minimum)
	case s.Type == "":
		return "JSON"
	}
	return s.named()
}

// named is a string by its alphabet.
func (s *schema) named() string {
	switch s.Pattern {
	case namePattern:
		return "name"
	case ownPattern:
		return "name without @"
	case keyPattern:
		return "attribute key"
	case uuidPattern:
		return "UUIDv7"
	}
	return s.Type
}

func most(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", at most %d", n)
}

func quoted(words []string) string {
	list := make([]string, len(words))
	for i, word := range words {
		list[i] = "`" + word + "`"
		if word == "" {
			list[i] = "empty"
		}
	}
	return strings.Join(list, ", ")
}

// anchor is the heading of a part in the table.
func anchor(name string) string {
	if name == "event" {
		return "events"
	}
	return "part-" + name
}
