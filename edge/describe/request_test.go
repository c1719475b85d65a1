package describe_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/throng/throng/edge/describe/describetest"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// examples are objects that each command takes, several where it has cases.
var examples = map[wire.Name][]string{
	wire.Connect:       {`{"token":"t","device":"d"}`},
	wire.Ping:          {`{}`},
	wire.Subscribe:     {`{"group":"g","channel":"c"}`},
	wire.Unsubscribe:   {`{"group":"g","channel":"c"}`},
	wire.Pull:          {`{"group":"g","channel":"c","after":0}`, `{"group":"g","channel":"c","after":0,"upto":9007199254740991}`},
	wire.History:       {`{"group":"g","channel":"c"}`, `{"group":"g","channel":"c","before":5}`, `{"group":"g","channel":"c","after":5}`},
	wire.Attrs:         {`{"group":"g"}`},
	wire.Group:         {`{"group":"g"}`},
	wire.Members:       {`{"group":"g"}`},
	wire.Presence:      {`{"group":"g"}`},
	wire.CreateGroup:   {`{"kind":"room","name":"n"}`, `{"kind":"direct","user":"u"}`},
	wire.UpdateGroup:   {`{"group":"g"}`},
	wire.DeleteGroup:   {`{"group":"g"}`},
	wire.CreateChannel: {`{"group":"g","kind":"public","name":"n"}`, `{"group":"g","kind":"private","name":"n","members":["u"]}`, `{"group":"g","kind":"thread","parent":"c"}`},
	wire.UpdateChannel: {`{"group":"g","channel":"c"}`},
	wire.DeleteChannel: {`{"group":"g","channel":"c"}`},
	wire.Join:          {`{"group":"g"}`},
	wire.Leave:         {`{"group":"g"}`},
	wire.Member:        {`{"group":"g","user":"u","do":"kick"}`, `{"group":"g","user":"u","do":"role","role":"admin"}`, `{"group":"g","user":"u","do":"user_groups","user_groups":[]}`, `{"group":"g","users":["u"],"do":"add"}`},
	wire.Rollback:      {`{"group":"g","users":["u"],"since":5}`, `{"group":"g","users":["u"],"since_seq":5,"until":5}`, `{"group":"g","users":["u"],"since":5,"ban":false}`},
	wire.Invite:        {`{"group":"g"}`},
	wire.InviteRevoke:  {`{"group":"g","invite":"i"}`},
	wire.Block:         {`{"user":"u"}`},
	wire.Unblock:       {`{"user":"u"}`},
	wire.Send:          {`{"group":"g","channel":"c","body":"b"}`, `{"user":"u","body":"b"}`, `{"group":"g","channel":"c","type":"own","body":{"x":1}}`},
	wire.Edit:          {`{"group":"g","channel":"c","n":1,"body":"b"}`},
	wire.Recall:        {`{"group":"g","channel":"c","n":1}`},
	wire.React:         {`{"group":"g","channel":"c","n":1,"emoji":"e"}`},
	wire.Unreact:       {`{"group":"g","channel":"c","n":1,"emoji":"e"}`},
	wire.Pin:           {`{"group":"g","channel":"c","n":1}`},
	wire.Unpin:         {`{"group":"g","channel":"c","n":1}`},
	wire.Hide:          {`{"group":"g","channel":"c","n":1}`},
	wire.AttrSet:       {`{"group":"g","set":{"k":"v"}}`, `{"group":"g","del":["k"]}`},
	wire.Signal:        {`{"group":"g","channel":"c","type":"typing"}`},
}

// with is an object with one more field, which counts instead of one that is
// there.
func with(object, name, value string) string {
	key := fmt.Sprintf("%q:%s", name, value)
	if object == "{}" {
		return "{" + key + "}"
	}
	return strings.TrimSuffix(object, "}") + "," + key + "}"
}

// lacking is an object without one of its fields.
func lacking(t testing.TB, object, field string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatal(err)
	}
	delete(members, field)
	data, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// outcome is all that parsing makes of an object.
func outcome(t testing.TB, name wire.Name, object string) string {
	t.Helper()
	c, err := wire.Parse(name, []byte(object))
	if err != nil {
		return err.Error()
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// literals is every string the source of the parsers could name a field with.
func literals(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../wire/*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	words := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, word := range regexp.MustCompile(`"([a-z][a-z_]*)"`).FindAllStringSubmatch(source(t, file), -1) {
			words[word[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(words))
}

// read is the fields that change what becomes of an object.
func read(t testing.TB, name wire.Name, object string, words []string) (fields []string) {
	t.Helper()
	without := outcome(t, name, object)
	for _, word := range words {
		if name == wire.Connect && (word == "as" || word == "ts") {
			continue // parsed, and nobody looks: the token names the user
		}
		for _, value := range []string{`7`, `"zz"`, `{"zz":7}`, `true`, `[7]`} {
			if outcome(t, name, with(object, word, value)) != without {
				fields = append(fields, word)
				break
			}
		}
	}
	return fields
}

// undescribed tells where the fields of a command's description and those its
// parser reads differ.
func undescribed(t testing.TB, c *describetest.Contract, words []string, name wire.Name) (problems []string) {
	t.Helper()
	described := c.Properties(string(name) + "_command")
	isRead := map[string]bool{}
	for _, object := range examples[name] {
		for _, field := range read(t, name, object, append(slices.Clone(words), described...)) {
			isRead[field] = true
		}
	}
	for field := range isRead {
		if !slices.Contains(described, field) {
			problems = append(problems, fmt.Sprintf("%s reads %s, which is not described", name, field))
		}
	}
	for _, field := range described {
		if !isRead[field] {
			problems = append(problems, fmt.Sprintf("%s does not read %s", name, field))
		}
	}
	return problems
}

func TestFieldsAreThoseTheParsersRead(t *testing.T) {
	c, words := contract(t), literals(t)
	for _, name := range wire.Names {
		for _, problem := range undescribed(t, c, words, name) {
			t.Error(problem)
		}
	}
}

// values is what fields are tried with: every type, and both sides of every
// limit.
func values() []string {
	id := streams.MakeClientID(1, [10]byte{}).String()
	text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	listOf := func(n int, item string) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	distinct := func(n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf("%q", fmt.Sprint("k", i)))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	keyed := func(n int) string {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(`"k%d":"v"`, i))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	all := []string{
		`0`, `1`, `7`, `-1`, `1.5`, `9007199254740991`, `9007199254740992`, `true`, `false`, `{}`, `[]`,
		`""`, `"x"`, `"@x"`, `"@"`, `"x@"`, `"x y"`, `"x.y"`, `"x:+="`, `"é"`, `"text"`, `"` + id + `"`, `"` + strings.ToUpper(id) + `"`,
		`"` + strings.Replace(id, "-7", "-4", 1) + `"`, `"` + strings.ReplaceAll(id, "-", "") + `"`,
		`["a"]`, `["a b"]`, `["@a"]`, `[1]`, `["admin"]`, `["a","b"]`, `{"a":"b"}`, `{"a":1}`, `{"a":-1}`, `{"a b":"c"}`, `{"a":{}}`,
		`{"channel":"c"}`, `{"channel":"c","n":1}`, `{"channel":"c","n":"1"}`, `{"channel":"c d"}`, `{"n":1}`, `{"":"x"}`,
		listOf(100, `"a"`), listOf(101, `"a"`), listOf(100, `"admin"`), listOf(101, `"admin"`), keyed(101), distinct(99), distinct(101),
		`{"a":` + text(streams.MaxAttribute) + `}`, `{"a":` + text(streams.MaxAttribute+1) + `}`,
	}
	for _, n := range []int{
		wire.MinCode, wire.MaxCode, streams.MaxName, streams.MaxType, streams.MaxEmoji, streams.MaxDisplayName, streams.MaxReason, streams.MaxAttributeKey, streams.MaxBody,
	} {
		all = append(all, text(n-1), text(n), text(n+1))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// known is the words a field takes though it does not take any word.
func known(name wire.Name, object, field string, words []string) (all []string) {
	if _, err := wire.Parse(name, []byte(with(object, field, `"zzzzzzzz"`))); err == nil {
		return nil
	}
	for _, word := range words {
		word = fmt.Sprintf("%q", word)
		if _, err := wire.Parse(name, []byte(with(object, field, word))); err == nil {
			all = append(all, word)
		}
	}
	return all
}

// disagreement tells whether the parser and the description differ about an
// object.
func disagreement(c *describetest.Contract, name wire.Name, object string) error {
	_, refused := wire.Parse(name, []byte(object))
	wrong := c.Takes(string(name), []byte(object))
	if (refused == nil) == (wrong == nil) {
		return nil
	}
	if len(object) > 150 {
		object = object[:150] + "…"
	}
	return fmt.Errorf("%s %s: the parser says %v, the description %v", name, object, fmt.Sprint(refused), fmt.Sprint(wrong))
}

// disagreements is those about all that a command's examples become with one
// field of another value, or without one.
func disagreements(t testing.TB, c *describetest.Contract, words []string, name wire.Name) (all []error) {
	t.Helper()
	try := func(object string) {
		if err := disagreement(c, name, object); err != nil {
			all = append(all, err)
		}
	}
	tried := values()
	for _, object := range examples[name] {
		try(object)
		for _, field := range read(t, name, object, words) {
			inner := append(slices.Clone(tried), known(name, object, field, words)...)
			for _, word := range c.Words(string(name)+"_command", field) {
				inner = append(inner, fmt.Sprintf("%q", word))
			}
			if field == "settings" {
				inner = append(inner, nested(c, name, object, words)...)
			}
			for _, value := range inner {
				if !tooLargeSignal(name, field, value) {
					try(with(object, field, value))
				}
			}
		}
		for _, field := range names(t, []byte(object)) {
			if field != "token" { // the verifier refuses it: no token is a bad one
				try(lacking(t, object, field))
			}
		}
	}
	return all
}

func TestObjectsAreTakenAsDescribed(t *testing.T) {
	c, words := contract(t), literals(t)
	for _, name := range wire.Names {
		for _, err := range disagreements(t, c, words, name) {
			t.Error(err)
		}
	}
}

// tooLargeSignal is what only bytes can tell: the size of any JSON.
func tooLargeSignal(name wire.Name, field, value string) bool {
	return name == wire.Signal && field == "data" && len(value) > wire.MaxSignal
}

// nested is settings of one key, for every word that is a setting to the parser
// or to the description.
func nested(c *describetest.Contract, name wire.Name, object string, words []string) (all []string) {
	values := []string{`0`, `1`, `-1`, `16384`, `16385`, `true`, `""`, `"x"`, `"admin"`, `"open"`, `"approval"`, `"all"`, `[]`, `["a"]`, `["a b"]`, `{}`}
	described := c.Properties(string(name) + "_command/properties/settings")
	for _, word := range slices.Concat(words, described, []string{"misspelt"}) {
		tried := values
		for _, known := range c.Words(string(name)+"_command", "settings/"+word) {
			tried = append(slices.Clone(tried), fmt.Sprintf("%q", known))
		}
		var forms []string
		matters := word == "misspelt"
		for _, value := range tried {
			form := fmt.Sprintf(`{%q:%s}`, word, value)
			_, refused := wire.Parse(name, []byte(with(object, "settings", form)))
			matters = matters || refused == nil
			forms = append(forms, form)
		}
		if matters || slices.Contains(described, word) {
			all = append(all, forms...)
		}
	}
	return all
}
