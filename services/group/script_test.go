package group_test

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

var update = flag.Bool("update", false, "rewrite what the scripts recorded")

// The scripts in testdata are commands with what they led to: a line
//
//	<user> <command> <field>=<value>…
//
// is followed by its events or its refusal, each after "> ". `now <ms>` sets
// the clock, `direct <a> <b>` begins with the group of two users,
// `server <user> …` and `import <ms> <user> …` speak as a back end.
// -update records anew: commit only changes whose cause you understand and want.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t).run(string(data))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(data) {
				t.Errorf("%s differs; recorded:\n%s\nnow:\n%s", file, data, got)
			}
		})
	}
}

type script struct {
	t       *testing.T
	state   *group.State
	now     int64
	seq     streams.Seq
	targets map[string]group.Target // by "channel/n"
}

func newState(g streams.Group) *group.State { return group.New(g) }

func newScript(t *testing.T) *script {
	return &script{t: t, state: newState("g"), now: 1_000_000, targets: map[string]group.Target{}}
}

func (s *script) run(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "> ") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, result := range s.line(line) {
			out.WriteString("> " + result + "\n")
		}
	}
	return out.String()
}

func (s *script) line(line string) []string {
	words := strings.Fields(line)
	r := group.Request{}
	switch words[0] {
	case "now":
		s.now = s.number(words[1])
		return nil
	case "direct": // the group of two users from here on
		group := streams.DirectGroup(streams.User(words[1]), streams.User(words[2]))
		s.state = newState(group)
		return nil
	case "stands":
		s.stands(words[1:])
		return nil
	case "gone":
		return s.gone(streams.User(words[1]))
	case "each":
		return s.each(s.number(words[1]), s.number(words[2]), strings.Join(words[3:], " "))
	case "server":
		r.Server, words = true, words[1:]
	case "import":
		r.Server, r.TS, words = true, s.number(words[1]), words[2:]
	}
	r.User = streams.User(words[0])
	fields := map[string]string{}
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		fields[key] = value
	}
	r.Body = s.body(words[1], fields)
	if target, ok := s.targets[fields["channel"]+"/"+fields["n"]]; ok {
		r.Target = &target
	}
	s.load(r)
	decision, err := s.state.Decide(r, s.now)
	if err != nil {
		var rejection *streams.Rejection
		if !errors.As(err, &rejection) {
			s.t.Fatalf("%s: %v is no rejection", line, err)
		}
		retry := ""
		if rejection.RetryAfter > 0 {
			retry = " retry in " + rejection.RetryAfter.String()
		}
		return []string{"refused " + rejection.Error() + retry + current(rejection)}
	}
	if decision.Events == nil {
		return []string{"answer " + compact(decision.Answer)}
	}
	var results []string
	for _, e := range decision.Events {
		results = append(results, s.apply(e))
	}
	if n := len(results); n > 5 {
		results = []string{results[0], fmt.Sprintf("and %d more like it", n-2), results[n-1]}
	}
	return results
}

func (s *script) apply(e *streams.Event) string {
	s.state.Number(e)
	s.seq++
	e.Seq, e.TS = s.seq, s.now
	s.state.Apply(e)
	if e.Kind() == streams.KindMessage {
		s.targets[fmt.Sprintf("%s/%d", e.Channel, e.N)] = group.Target{Author: e.User, TS: e.TS}
	}
	answer := ""
	if e.Answer {
		answer = " answer"
	}
	return fmt.Sprintf("%s v=%d n=%d %s by %s%s %s", e.Channel, e.V, e.N, e.Kind(), e.User, answer, compact(payloadOf(e)))
}

func payloadOf(e *streams.Event) proto.Message {
	data, err := streams.MarshalEvent(e)
	if err != nil {
		panic(err)
	}
	pb := &streampb.Event{}
	if err := proto.Unmarshal(data, pb); err != nil {
		panic(err)
	}
	only := &streampb.Event{Payload: pb.GetPayload()}
	return only
}

// compact is one line of JSON whose white space does not vary.
func compact(m proto.Message) string {
	text := strings.ReplaceAll(protojson.MarshalOptions{}.Format(m), ": ", ":")
	return strings.ReplaceAll(text, ", ", ",")
}

func (s *script) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		s.t.Fatalf("%q is no number", text)
	}
	return n
}

func (s *script) body(command string, f map[string]string) any {
	uint := func(key string) uint64 {
		if f[key] == "" {
			return 0
		}
		return uint64(s.number(f[key]))
	}
	switch command {
	case "create_group":
		body := &streampb.CreateGroup{Kind: f["kind"], Name: f["name"], Peer: f["peer"]}
		if body.Peer == "" {
			body.Settings = s.settings(f)
		}
		return body
	case "delete_group":
		return &streampb.DeleteGroup{Reason: f["reason"]}
	case "block", "unblock":
		return &streampb.Block{Peer: f["peer"], Undo: command == "unblock"}
	case "invite":
		body := &streampb.Invite{Invite: f["invite"], Expires: int64(uint("expires")), Uses: uint("uses"), Hash: codeHash(f["code"])}
		if f["code"] == "short" {
			body.Hash = body.Hash[:31]
		}
		return body
	case "invite_revoke":
		return &streampb.Invite{Invite: f["invite"]}
	case "add_many":
		role, _ := streams.ParseRole(f["role"])
		body := &streampb.AddMembers{Users: list(f["users"]), Role: role, Reason: f["reason"]}
		if f["reason"] == "long" {
			body.Reason = strings.Repeat("x", int(s.number(f["bytes"])))
		}
		for i := range uint("times") {
			body.Users = append(body.Users, fmt.Sprint("m", i))
		}
		return body
	case "add", "kick", "ban", "unban", "mute", "unmute", "role", "decline", "user_groups", "odd":
		return s.act(command, f)
	case "update_group":
		body := &streampb.UpdateGroup{Settings: s.settings(f)}
		if name, ok := f["name"]; ok {
			body.Name = &name
		}
		return body
	case "join":
		return &streampb.Join{Reason: f["reason"], CodeHash: codeHash(f["code"])}
	case "leave":
		return &streampb.Leave{Reason: f["reason"]}
	case "send":
		body := &streampb.Send{
			Channel: f["channel"], Type: "text", Body: []byte(strings.Repeat(f["body"], int(max(1, uint("times"))))),
			MentionAll: f["mention_all"] != "", ReplyTo: uint("reply_to"), TtlMs: int64(uint("ttl_ms")), Peer: f["peer"],
		}
		body.Mentions, body.MentionRoles = list(f["mentions"]), list(f["mention_roles"])
		return body
	case "edit":
		return &streampb.Edit{Channel: f["channel"], N: uint("n"), Body: []byte(f["body"])}
	case "recall":
		return &streampb.Recall{Channel: f["channel"], N: uint("n")}
	case "members":
		role, _ := streams.ParseRole(f["role"])
		return &streampb.ReadMembers{After: f["after"], Limit: uint32(uint("limit")), Role: role}
	case "group":
		return &streampb.ReadGroup{}
	case "snapshot":
		return &streampb.ReadSnapshot{}
	case "access":
		return &streampb.ReadAccess{}
	}
	if body := s.channelBody(command, f); body != nil {
		return body
	}
	s.t.Fatalf("the script has an unknown command %q", command)
	return nil
}

func (s *script) settings(f map[string]string) *streampb.SettingsPatch {
	patch := &streampb.SettingsPatch{}
	if v, ok := f["join"]; ok {
		patch.Join = &v
	}
	if v, ok := f["history"]; ok {
		patch.History = &v
	}
	if v, ok := f["edit_window_ms"]; ok {
		patch.EditWindowMs = proto.Int64(s.number(v))
	}
	if v, ok := f["room_idle_ms"]; ok {
		patch.RoomIdleMs = proto.Int64(s.number(v))
	}
	if v, ok := f["hook"]; ok {
		patch.Hook = &v
	}
	if v, ok := f["threads"]; ok {
		role, _ := streams.ParseRole(v)
		patch.Threads = role.Enum()
	}
	if v, ok := f["mute_all"]; ok {
		patch.MuteAll = proto.Bool(v == "true")
	}
	if v, ok := f["slow_mode_ms"]; ok {
		patch.SlowModeMs = proto.Int64(s.number(v))
	}
	if v, ok := f["max_message_bytes"]; ok {
		patch.MaxMessageBytes = proto.Int64(s.number(v))
	}
	s.laterSettings(patch, f)
	return patch
}

// act is what one user does about another: `<user> mute user=<whom> …`.
func (s *script) act(do string, f map[string]string) *streampb.ActOnMember {
	role, known := streams.ParseRole(f["role"])
	if f["role"] != "" && !known {
		role = 9
	}
	body := &streampb.ActOnMember{
		User: f["user"], Role: role, Reason: f["reason"],
		Act: streampb.Act(streampb.Act_value["ACT_"+strings.ToUpper(do)]),
	}
	body.Check = f["check"] != ""
	if f["until"] != "" {
		body.Until = s.number(f["until"])
	}
	if f["groups"] != "" {
		body.UserGroups = strings.Split(f["groups"], ",")
	}
	if times := f["times"]; times != "" { // so many groups
		for i := range s.number(times) {
			body.UserGroups = append(body.UserGroups, fmt.Sprint("g", i))
		}
	}
	if f["reason"] == "long" {
		body.Reason = strings.Repeat("x", int(s.number(f["bytes"])))
	}
	return body
}

func codeHash(code string) []byte {
	if code == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}
