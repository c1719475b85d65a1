package describe

import (
	"bytes"
	"encoding/json"
)

// schema is a JSON Schema, as far as the tables need one.
type schema struct {
	Ref                  string     `json:"$ref,omitempty"`
	About                string     `json:"description,omitempty"`
	Type                 string     `json:"type,omitempty"`
	Const                any        `json:"const,omitempty"` // a string or true
	Enum                 []string   `json:"enum,omitempty"`
	Pattern              string     `json:"pattern,omitempty"`
	MinLength            int        `json:"minLength,omitempty"` // characters
	MaxLength            int        `json:"maxLength,omitempty"` // characters
	Minimum              *int64     `json:"minimum,omitempty"`
	Maximum              *int64     `json:"maximum,omitempty"`
	Items                *schema    `json:"items,omitempty"`
	MinItems             int        `json:"minItems,omitempty"`
	MaxItems             int        `json:"maxItems,omitempty"`
	UniqueItems          bool       `json:"uniqueItems,omitempty"`
	Properties           properties `json:"properties,omitempty"`
	Required             []string   `json:"required,omitempty"`
	PropertyNames        *schema    `json:"propertyNames,omitempty"`
	AdditionalProperties *schema    `json:"additionalProperties,omitempty"`
	MinProperties        int        `json:"minProperties,omitempty"`
	MaxProperties        int        `json:"maxProperties,omitempty"`
	AllOf                []*schema  `json:"allOf,omitempty"`
	AnyOf                []*schema  `json:"anyOf,omitempty"`
	OneOf                []*schema  `json:"oneOf,omitempty"`
	Not                  *schema    `json:"not,omitempty"`
	If                   *schema    `json:"if,omitempty"`
	Then                 *schema    `json:"then,omitempty"`
	Else                 *schema    `json:"else,omitempty"`

	nothing bool // the schema false: no value fits
}

// MarshalJSON keeps the one schema that is no object.
func (s *schema) MarshalJSON() ([]byte, error) {
	if s.nothing {
		return []byte("false"), nil
	}
	type plain schema // without this method
	return json.Marshal((*plain)(s))
}

// field is one member of an object.
type field struct {
	name     string
	schema   *schema
	required bool
}

// properties is the members of an object, which keep their order.
type properties []field

// MarshalJSON writes an object.
func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.schema)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// named is a schema of the documents' components.
type named struct {
	name   string
	schema *schema
}

// ref points to a component, which stands at the same place in both documents.
func ref(name string) *schema { return &schema{Ref: "#/components/schemas/" + name} }

// must is a field that is always there, may one that can be missing.
func must(name string, s *schema) field { return field{name: name, schema: s, required: true} }
func may(name string, s *schema) field  { return field{name: name, schema: s} }

// open is an object that may have further fields.
func open(about string, fields ...field) *schema {
	s := &schema{Type: "object", About: about, Properties: fields}
	for _, f := range fields {
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

// closed is an object that has these fields and no other.
func closed(about string, fields ...field) *schema {
	s := open(about, fields...)
	s.AdditionalProperties = &schema{nothing: true}
	return s
}

// holding is a condition on fields, for rules beside those of a single one.
func holding(fields ...field) *schema {
	s := open("", fields...)
	s.Type = ""
	return s
}

// having is an object that has these fields, whatever they are.
func having(names ...string) *schema { return &schema{Required: names} }
