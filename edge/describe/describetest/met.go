package describetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// meet notes which of the described properties a value has. What a component
// describes counts wherever it was met.
func (c *Contract) meet(document, place string, value any) {
	schema, ok := c.at(document, place).(map[string]any)
	if !ok {
		return
	}
	if to, ok := schema["$ref"].(string); ok {
		c.meet(document, strings.TrimPrefix(to, "#"), value)
		return
	}
	for _, word := range []string{"oneOf", "anyOf", "allOf"} {
		branches, _ := schema[word].([]any)
		for i := range branches {
			branch := fmt.Sprintf("%s/%s/%d", place, word, i)
			if c.valid(document, branch, value) == nil {
				c.meet(document, branch, value)
			}
		}
	}
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			c.meet(document, place+"/items", item)
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, inner := range v {
			if properties[name] == nil {
				c.meet(document, place+"/additionalProperties", inner)
				continue
			}
			at := place + "/properties/" + name
			c.met[at] = true // components stand at the same place in both documents
			c.meet(document, at, inner)
		}
	}
}

// Unmet lists the described properties of components (schemas/<name> or
// messages/<name>/payload), and of what those point to, that no checked value
// had.
func (c *Contract) Unmet(components ...string) []string {
	unmet := map[string]bool{}
	done := map[string]bool{}
	for _, name := range components {
		c.unmet("/components/"+name, unmet, done)
	}
	return slices.Sorted(maps.Keys(unmet))
}

func (c *Contract) unmet(place string, unmet, done map[string]bool) {
	schema, ok := c.at(AsyncAPI, place).(map[string]any) // which has all components
	if !ok || done[place] {
		return
	}
	done[place] = true
	if to, ok := schema["$ref"].(string); ok {
		c.unmet(strings.TrimPrefix(to, "#"), unmet, done)
	}
	for _, word := range []string{"oneOf", "anyOf", "allOf"} {
		branches, _ := schema[word].([]any)
		for i := range branches {
			c.unmet(fmt.Sprintf("%s/%s/%d", place, word, i), unmet, done)
		}
	}
	c.unmet(place+"/items", unmet, done)
	c.unmet(place+"/additionalProperties", unmet, done)
	properties, _ := schema["properties"].(map[string]any)
	for name := range properties {
		at := place + "/properties/" + name
		if !c.met[at] {
			unmet[at] = true
			continue
		}
		c.unmet(at, unmet, done)
	}
}
