package refusals_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/streams/streamtest"
)

// listener is an asker who follows all they can, once in each mode.
type listener struct {
	*world
	kind
	sessions map[string]*session // by mode
	ear      *session            // of the insider, in the direct group with the asker
}

func newListener(t testing.TB, d *deployment, k kind, id string) *listener {
	t.Helper()
	l := &listener{world: newWorld(t, d, id, k.since), kind: k, sessions: map[string]*session{}}
	if k.goes == nil {
		k.becomes(l.world)
	} else {
		l.added("member", true)
	}
	d.must(t, l.asker, "create_group", `{"group":"mine-`+id+`","kind":"community","name":"x"}`)
	d.must(t, l.asker, "create_channel", `{"group":"mine-`+id+`","channel":"c","kind":"public","name":"x"}`)
	for _, mode := range []string{"push", "hint"} {
		s := d.connect(t, k.token(t, l.world))
		l.sessions[mode] = s
		follow := func(group, channel string) {
			s.ask(t, "subscribe", `{"group":"`+group+`","channel":"`+channel+`","mode":"`+mode+`"}`)
		}
		for _, channel := range []string{l.open, l.announce, l.thread, "@", "@members", l.vault, l.attic, l.burnt} {
			follow(l.group, channel)
		}
		for _, channel := range []string{"@", "@members", "main"} {
			follow(l.direct, channel)
		}
		follow("mine-"+id, "c")
	}
	l.ear = d.connect(t, "dev:"+l.insider)
	for _, channel := range []string{"@", "@members", "main"} {
		l.ear.ask(t, "subscribe", `{"group":"`+l.ours+`","channel":"`+channel+`"}`)
	}
	if k.goes != nil {
		k.goes(l.world)
		for _, mode := range []string{"push", "hint"} {
			l.awaits(mode, []byte(`"left":true`), "the end")
		}
		for _, s := range l.sessions {
			s.forget()
		}
	}
	return l
}

// awaits waits until a session was told something.
func (l *listener) awaits(mode string, what []byte, name string) {
	l.t.Helper()
	streamtest.Eventually(l.t, patience, l.kind.name+" is told in mode "+mode+": "+name, func() bool {
		return slices.ContainsFunc(l.sessions[mode].heard(), func(frame []byte) bool { return bytes.Contains(frame, what) })
	})
}

// happens has everything happen of which the asker may be told nothing, or not
// all.
func (l *listener) happens() {
	l.fill(l.vault, ofPrivate)
	l.fill(l.attic, ofPrivate)
	l.fill(l.open, ofMembers)
	at := `{"group":"$G","channel":"` + l.vault + `",`
	l.does(l.insider, "update_channel", at+`"name":"`+l.mark(ofPrivate, "again")+`","add":["`+l.mark(ofPrivate, "one-more")+`"]}`)
	l.does(l.insider, "update_channel", at+`"remove":["`+l.mark(ofPrivate, "one-more")+`"],"category":"`+l.mark(ofPrivate, "moved")+`"}`)
	l.does(l.insider, "create_channel", `{"group":"$G","channel":"`+l.mark(ofPrivate, "cellar")+`","kind":"private","name":"x"}`)
	l.fill(l.mark(ofPrivate, "cellar"), ofPrivate)
	l.does(l.insider, "delete_channel", `{"group":"$G","channel":"`+l.attic+`","reason":"`+l.mark(ofPrivate, "dust")+`"}`)
	l.does(l.owner, "attr_set", `{"group":"$G","set":{"`+l.mark(ofMembers, "news")+`":"`+l.mark(ofMembers, "newer")+`"}}`)
	l.does(l.owner, "member", `{"group":"$G","user":"`+l.mark(ofMembers, "victim")+`","do":"ban","reason":"`+l.mark(ofMembers, "why")+`"}`)
	l.does(l.owner, "update_group", `{"group":"$G","name":"`+l.mark(ofMembers, "called")+`"}`)
	l.d.must(l.t, l.insider, "send", `{"user":"`+l.owner+`","body":"`+l.mark(ofOthers, "whisper")+`"}`)
	l.d.must(l.t, l.insider, "signal", `{"group":"`+l.direct+`","channel":"main","type":"`+l.mark(ofOthers, "typing")+`"}`)
	l.does(l.owner, "delete_group", `{"group":"$G","reason":"`+l.mark(ofMembers, "last")+`"}`)
}

// speaks has the asker do what there is in the direct group with who has blocked
// them.
func (l *listener) speaks() {
	at := `{"group":"` + l.ours + `","channel":"main",`
	for command, object := range map[string]string{
		"send":     at + `"body":"` + l.mark(ofBlocked, "please") + `"}`,
		"edit":     at + `"n":1,"body":"` + l.mark(ofBlocked, "other") + `"}`,
		"react":    at + `"n":1,"emoji":"` + l.mark(ofBlocked, "heart") + `"}`,
		"attr_set": at + `"set":{"` + l.mark(ofBlocked, "read") + `":"` + l.mark(ofBlocked, "me") + `"}}`,
		"signal":   at + `"type":"` + l.mark(ofBlocked, "psst") + `","data":"` + l.mark(ofBlocked, "there") + `"}`,
	} {
		if a := l.sessions["push"].ask(l.t, command, object); a.code() != "forbidden" {
			l.t.Errorf("%s to who has blocked one: %s", command, a)
		}
	}
}

// judge waits until all of it has passed by and looks at what was told.
func (l *listener) judge(found *findings) {
	l.d.must(l.t, l.asker, "send", `{"group":"mine-`+l.id+`","channel":"c","body":"the end"}`)
	l.awaits("push", []byte("the end"), "the end")
	l.awaits("hint", []byte(`{"group":"mine-`+l.id), "the end")
	for mode, s := range l.sessions {
		for _, frame := range s.heard() {
			for _, secret := range l.told(frame, l.may) {
				found.leak("%s in mode %s is told %s: %.600s", l.kind.name, mode, secret, frame)
			}
		}
	}
	l.d.must(l.t, l.insider, "unblock", `{"user":"`+l.asker+`"}`)
	l.d.must(l.t, l.asker, "send", `{"group":"`+l.ours+`","channel":"main","body":"the end"}`)
	streamtest.Eventually(l.t, patience, "the other hears the end", func() bool {
		return slices.ContainsFunc(l.ear.heard(), func(frame []byte) bool { return bytes.Contains(frame, []byte("the end")) })
	})
	for _, frame := range l.ear.heard() {
		for _, secret := range l.told(frame, []class{ofMembers, ofBefore, ofPrivate, ofOthers, ofHidden, ofNobody}) {
			found.leak("who has blocked %s is told %s: %s", l.kind.name, secret, frame)
		}
	}
}

// It proves that nobody who follows all they can, for events or for heads, is
// told a byte of what is not theirs to know, from the moment on at which it is
// not; and that who has blocked somebody hears nothing of them.
func TestPushesTellNothing(t *testing.T) {
	d := deploy(t)
	var found findings
	t.Run("all", func(t *testing.T) {
		for i, k := range kinds {
			if k.server {
				continue
			}
			t.Run(k.name, func(t *testing.T) {
				t.Parallel()
				l := newListener(t, d, k, fmt.Sprint(i))
				l.speaks()
				l.happens()
				l.judge(&found)
			})
		}
	})
	found.report(t)
}

// The judge is judged: of an edge that shows private channels to everybody it
// finds that, in each mode.
func TestPushesThatTellAreFound(t *testing.T) {
	d := deploy(t, func(c *edge.Config) { c.Revealing = true })
	l := newListener(t, d, kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == "member" })], "seeded")
	l.happens()
	var found findings
	l.judge(&found)
	for _, mode := range []string{"push", "hint"} {
		if !slices.ContainsFunc(found.leaks, func(s string) bool { return bytes.Contains([]byte(s), []byte("in mode "+mode)) }) {
			t.Errorf("nothing is found in mode %s", mode)
		}
	}
}

// It proves that counts tell nothing either: whatever is done in a private
// channel, all that who is outside reads stays as it was.
func TestWhatIsDoneInAPrivateChannelChangesNoAnswer(t *testing.T) {
	d := deploy(t)
	var found findings
	r := newRound(t, d, kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == "member" })], "still", "WebSocket", &found)
	there, not := r.channels()
	read := func() map[string]answer {
		answers := map[string]answer{}
		for _, f := range forms {
			switch f.command {
			case "subscribe", "pull", "history", "attrs", "group", "members", "presence":
			default:
				continue
			}
			for _, channel := range append(slices.Clone(there), not...) {
				answers[string(f.command)+f.object+channel] = r.asks(f, r.group, channel, 1)
			}
		}
		return answers
	}
	read()
	streamtest.Eventually(t, patience, "the asker is counted", func() bool {
		return bytes.Contains(r.ask(t, "presence", `{"group":"`+r.group+`"}`).body, []byte(`"online":1`))
	})
	before := read()
	r.fill(r.vault, ofPrivate)
	r.fill(r.attic, ofPrivate)
	for question, after := range read() {
		if was := before[question]; was.String() != after.String() {
			t.Errorf("%s: %s, and before %s", question, after, was)
		}
	}
	found.report(t)
}
