package describe_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/throng/throng/edge/describe"
	"github.com/throng/throng/edge/describe/describetest"
	"github.com/throng/throng/edge/wire"
)

// seeded is a contract in which one component is described otherwise.
func seeded(t testing.TB, component string, change func(schema map[string]any)) *describetest.Contract {
	t.Helper()
	d := describe.New(config)
	documents := [2][]byte{body(t, d.HTTP), body(t, d.WebSocket)}
	for i, data := range documents {
		var document map[string]any
		if err := json.Unmarshal(data, &document); err != nil {
			t.Fatal(err)
		}
		schema, there := document["components"].(map[string]any)["schemas"].(map[string]any)[component].(map[string]any)
		if !there && i == 0 {
			continue // a command that takes a WebSocket
		}
		change(schema)
		changed, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		documents[i] = changed
	}
	return describetest.New(t, documents[0], documents[1])
}

func without(field string) func(map[string]any) {
	return func(schema map[string]any) { delete(schema["properties"].(map[string]any), field) }
}

func besides(field string) func(map[string]any) {
	return func(schema map[string]any) {
		schema["properties"].(map[string]any)[field] = map[string]any{"type": "string"}
	}
}

func instead(field, keyword string, value any) func(map[string]any) {
	return func(schema map[string]any) {
		schema["properties"].(map[string]any)[field].(map[string]any)[keyword] = value
	}
}

func optional(schema map[string]any) { delete(schema, "required") }

// Each check finds what it is for.
func TestADescriptionThatDiffersIsFound(t *testing.T) {
	words := literals(t)
	fields := func(name wire.Name) func(*describetest.Contract) int {
		return func(c *describetest.Contract) int { return len(undescribed(t, c, words, name)) }
	}
	objects := func(name wire.Name) func(*describetest.Contract) int {
		return func(c *describetest.Contract) int { return len(disagreements(t, c, words, name)) }
	}
	events := func(c *describetest.Contract) int { return len(wrongEvents(t, c)) }
	answers := func(c *describetest.Contract) int { return len(wrongAnswers(t, c)) }

	for i, test := range []struct {
		what      string
		component string
		change    func(map[string]any)
		found     func(*describetest.Contract) int
	}{
		{"a field that is read and not described", "recall_command", without("n"), fields(wire.Recall)},
		{"one of a certain case only", "create_group_command", without("user"), fields(wire.CreateGroup)},
		{"a field that is described and not read", "join_command", besides("role"), fields(wire.Join)},
		{"a field of another type", "pin_command", instead("n", "type", "string"), objects(wire.Pin)},
		{"a limit that is one too many", "delete_group_command", instead("reason", "maxLength", 513), objects(wire.DeleteGroup)},
		{"an alphabet that is too wide", "group_command", instead("group", "pattern", "^[@A-Za-z0-9_.-]{1,64}$"), objects(wire.Group)},
		{"a setting that there is not", "update_group_command", func(s map[string]any) {
			besides("colour")(s["properties"].(map[string]any)["settings"].(map[string]any))
		}, objects(wire.UpdateGroup)},
		{"a setting that is missing", "update_group_command", func(s map[string]any) {
			without("threads")(s["properties"].(map[string]any)["settings"].(map[string]any))
		}, objects(wire.UpdateGroup)},
		{"a word that is missing", "subscribe_command", instead("mode", "enum", []string{"push"}), objects(wire.Subscribe)},
		{"a rule that is missing", "history_command", func(s map[string]any) { delete(s, "allOf") }, objects(wire.History)},
		{"a field that is not required", "invite_revoke_command", optional, objects(wire.InviteRevoke)},
		{"an event's field that is not described", "react_event", without("count"), events},
		{"one of an event that it never has", "pin_event", besides("emoji"), events},
		{"one that it need not have", "unban_event", optional, events},
		{"an answer's field that is not described", "pull_answer", without("through"), answers},
		{"one of an answer that it never has", "presence_answer", besides("away"), answers},
		{"one in a part of an answer", "attribute", without("ts"), answers},
	} {
		t.Run(fmt.Sprint(i, " ", test.what), func(t *testing.T) {
			if test.found(seeded(t, test.component, test.change)) == 0 {
				t.Errorf("%s goes unnoticed", test.what)
			}
		})
	}
}
