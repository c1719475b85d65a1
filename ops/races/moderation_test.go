package races

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

var rounds = flag.Int("races.rounds", 100, "how often a moderator acts on who is sending")

// endsWithin is how long after an act was sent the sessions of who was removed
// may still be told something.
const endsWithin = time.Second

// trial is a moderator, a victim that sends through two edges as fast as their
// connections carry it, and others that read and write beside it.
type trial struct {
	*stage
	victim    string // token of the victim's connections
	as        string // whom they name as the sender, where they are a back end's
	moderator *client
	senders   [2]*sender // the victim's, one on each edge
	followers []*follower
	bystander *follower // on the second edge
}

// newTrial makes the group. With unchecked the victim's connections are a back
// end's, which the owner asks no membership, and no mute: an owner without the
// rules, as far as the victim goes.
func newTrial(t *testing.T, unchecked bool) *trial {
	t.Helper()
	r := &trial{stage: newStage(t), victim: "dev:victim"}
	if unchecked {
		r.victim, r.as = backEnd(t), "victim"
	}
	owner := connect(t, r.edges[0], "dev:owner", nil)
	streamtest.Eventually(t, patience, "the group is made", func() bool {
		return owner.call(t.Context(), "create_group", object{"group": "g", "kind": "community", "name": "G"}, nil) == nil
	})
	owner.must(t, "create_channel", object{"group": "g", "channel": "c", "kind": "public", "name": "C"}, nil)
	owner.must(t, "member", object{"group": "g", "user": "mo", "do": "add", "role": "moderator"}, nil)
	for _, user := range []string{"victim", "reader", "writer"} {
		owner.must(t, "member", object{"group": "g", "user": user, "do": "add"}, nil)
	}
	r.moderator = connect(t, r.edges[0], "dev:mo", nil)
	r.bystander = follow(t, r.edges[1], "dev:reader", "push")
	for i, listen := range r.edges {
		f := follow(t, listen, r.victim, "push")
		r.followers = append(r.followers, f)
		r.senders[i] = newSender(f.client, r.as)
	}
	r.followers = append(r.followers, follow(t, r.edges[1], r.victim, "hint"))
	for _, f := range append(r.followers, r.bystander) {
		f.subscribe(t)
	}
	return r
}

// send lets the victim's connections send, and one of somebody else, until the
// returned function is called.
func (r *trial) send(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	other := newSender(connect(t, r.edges[0], "dev:writer", nil), "")
	done := make(chan error, 3)
	for _, s := range r.senders {
		go func() { done <- s.run(ctx, window) }()
	}
	go func() { done <- other.run(ctx, 1) }()
	return func() {
		cancel()
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

// heard waits until each of the victim's connections has sent a message.
func (r *trial) heard(t *testing.T) {
	t.Helper()
	for _, s := range r.senders {
		before := s.accepted()
		streamtest.Eventually(t, patience, "the victim is heard", func() bool { return s.accepted() > before })
	}
}

// refused waits until each of the victim's connections has been refused.
func (r *trial) refused(t *testing.T) {
	t.Helper()
	for _, s := range r.senders {
		before := s.turnedAway()
		streamtest.Eventually(t, patience, "the victim is refused", func() bool { return s.turnedAway() > before })
	}
}

// goesOn waits until somebody else has been told more.
func (r *trial) goesOn(t *testing.T) {
	t.Helper()
	before := r.bystander.count()
	streamtest.Eventually(t, patience, "delivery to others goes on", func() bool { return r.bystander.count() > before+3 })
}

func (r *trial) act(t *testing.T, do string) (began time.Time) {
	t.Helper()
	began = time.Now()
	r.moderator.must(t, "member", object{"group": "g", "user": "victim", "do": do}, nil)
	return began
}

// comeBack lets the victim in again, and all sessions follow again.
func (r *trial) comeBack(t *testing.T) {
	t.Helper()
	join := object{"group": "g"}
	if r.as != "" {
		join["as"] = r.as
	}
	r.senders[0].client.must(t, "join", join, nil)
	for _, f := range r.followers {
		f.subscribe(t)
	}
}

// It proves that no message of who was muted, kicked or banned stands behind
// the act in the log, that no acknowledged one is missing, and that sessions of
// who was removed are told nothing that stands behind it, and end in time.
func TestNothingOfTheVictimStandsBehindTheAct(t *testing.T) {
	r := newTrial(t, false)
	stop := r.send(t)
	var removals []removal
	toldWorst := time.Duration(0)
	for round := range *rounds {
		r.heard(t)
		do := []string{"mute", "kick", "ban"}[round%3]
		began := r.act(t, do)
		if do == "mute" {
			r.refused(t)
			r.act(t, "unmute")
			continue
		}
		for _, f := range r.followers {
			toldWorst = max(toldWorst, f.awaitLeft(t).Sub(began))
		}
		r.refused(t)
		r.goesOn(t)
		removals = append(removals, removal{began, time.Now()})
		if do == "ban" {
			r.act(t, "unban")
		}
		r.comeBack(t)
	}
	stop()
	if toldWorst > endsWithin {
		t.Errorf("a session was told that it left after %v", toldWorst)
	}
	s := judgeSilence(r.events(t, "g"), "victim")
	for _, problem := range s.problems {
		t.Error(problem)
	}
	if len(s.acts) != *rounds || s.removals() != len(removals) {
		t.Fatalf("the log holds %d acts, %d of them removals, of %d rounds with %d", len(s.acts), s.removals(), *rounds, len(removals))
	}
	acknowledged := 0
	for i, sender := range r.senders {
		places := sender.places()
		acknowledged += len(places)
		for _, seq := range places {
			if _, there := s.messages[seq]; !there {
				t.Errorf("edge %d acknowledged a message at %d, where there is none", i, seq)
			}
		}
	}
	worst, told := time.Duration(0), 0
	for _, f := range r.followers {
		late, problems := f.judge(s, removals)
		for _, problem := range problems {
			t.Error(problem)
		}
		worst, told = max(worst, late), told+f.count()
	}
	if worst > endsWithin {
		t.Errorf("a session of who was removed was told something %v after the act was sent", worst)
	}
	t.Logf("%d rounds: %d messages of the victim in the log, %d acknowledged, %d refused; %d deliveries to its sessions; after an act was sent the last delivery came after at most %v, the word that one has left after at most %v",
		*rounds, len(s.messages), acknowledged, r.senders[0].turnedAway()+r.senders[1].turnedAway(), told, worst, toldWorst)
}

// Where the owner does not ask the rules of the victim, the checkers say so.
func TestAVictimThatIsNotCheckedIsFound(t *testing.T) {
	r := newTrial(t, true)
	stop := r.send(t)
	var removals []removal
	for _, do := range []string{"mute", "kick", "ban"} {
		r.heard(t)
		began := r.act(t, do)
		r.heard(t)
		r.goesOn(t)
		over := time.Now()
		switch do {
		case "mute":
			r.act(t, "unmute")
			continue
		case "ban":
			r.act(t, "unban")
		}
		removals = append(removals, removal{began, over})
		r.comeBack(t)
	}
	stop()
	s := judgeSilence(r.events(t, "g"), "victim")
	behind := map[streams.Kind]bool{}
	for _, p := range s.problems {
		behind[p.act] = true
	}
	for _, kind := range []streams.Kind{streams.KindMute, streams.KindKick, streams.KindBan} {
		if !behind[kind] {
			t.Errorf("messages behind a %s went unnoticed: %v", kind, s.problems)
		}
	}
	for i, f := range r.followers[:2] {
		if late, problems := f.judge(s, removals); len(problems) == 0 || late == 0 {
			t.Errorf("session %d was told on, which went unnoticed", i)
		}
	}
}

// silence is what the log says about when somebody might write.
type silence struct {
	acts     []span              // each act on the victim until it was taken back
	messages map[uint64]struct{} // seqs of the victim's messages
	problems []misplaced
}

// span is the events after < seq < until.
type span struct {
	kind         streams.Kind
	after, until uint64
}

func (s *silence) removals() (n int) {
	for _, a := range s.acts {
		if a.kind != streams.KindMute {
			n++
		}
	}
	return n
}

// misplaced is a message that stands behind an act.
type misplaced struct {
	act      streams.Kind
	seq, acc uint64
}

func (m misplaced) Error() string {
	return fmt.Sprintf("a message of the victim stands at %d, behind the %s at %d", m.seq, m.act, m.acc)
}

// judgeSilence reads a group's log in order and follows whether a member might
// write.
func judgeSilence(events []*streams.Event, victim streams.User) *silence {
	s := &silence{messages: map[uint64]struct{}{}}
	var open *span
	for _, e := range events {
		seq := uint64(e.Seq)
		if e.Kind() == streams.KindMessage && e.User == victim {
			s.messages[seq] = struct{}{}
			if open != nil {
				s.problems = append(s.problems, misplaced{open.kind, seq, open.after})
			}
		}
		who, state := streams.MemberOf(e)
		if who != victim {
			continue
		}
		may := state.GetRole() != 0 && state.GetMutedUntil() == 0
		switch {
		case !may && open == nil:
			open = &span{kind: e.Kind(), after: seq, until: ^uint64(0)}
		case may && open != nil:
			open.until = seq
			s.acts = append(s.acts, *open)
			open = nil
		}
	}
	if open != nil {
		s.acts = append(s.acts, *open)
	}
	return s
}

// removal is when a kick or ban was sent, and when it was about to be taken back.
type removal struct{ began, over time.Time }

// judge compares what a session was told with the removals, which are those in
// the log, in order: nothing that stands between one and the return, and for how
// long after one was sent it was still told something.
func (f *follower) judge(s *silence, removals []removal) (late time.Duration, problems []string) {
	told := f.all() // in order of time
	for _, r := range removals {
		from, _ := slices.BinarySearchFunc(told, r.began, func(d delivery, t time.Time) int { return d.at.Compare(t) })
		for _, d := range told[from:] {
			if d.at.After(r.over) {
				break
			}
			late = max(late, d.at.Sub(r.began))
		}
	}
	for _, a := range s.acts {
		if a.kind == streams.KindMute {
			continue
		}
		from, _ := slices.BinarySearchFunc(told, a.after, func(d delivery, seq uint64) int { return cmp.Compare(d.seq, seq) })
		for _, d := range told[from:] {
			if d.seq >= a.until {
				break
			}
			if d.seq > a.after {
				problems = append(problems, fmt.Sprintf("a session was told of %d behind the %s at %d", d.seq, a.kind, a.after))
			}
		}
	}
	return late, problems
}
