package group_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

var propertySeeds = flag.Int("property.seeds", 60, "how many seeds TestFoldsAgree runs")

// TestFoldsAgree does random commands on three folds of one log: one that
// always was in memory; one whose entities are evicted at random, restored
// from their records, and now and then lost altogether, as in a takeover; and
// one folded from nothing at the end. All must decide and end the same.
func TestFoldsAgree(t *testing.T) {
	for seed := range *propertySeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			name := streams.Group("g")
			if seed%5 == 0 {
				name = streams.DirectGroup("u0", "u1")
			}
			f := newFolds(t, name, uint64(seed))
			for range 1500 {
				f.step()
			}
			f.compare()
		})
	}
}

// folds is one group as three folds see it.
type folds struct {
	*live
	name       streams.Group
	rng        *rand.Rand
	stored     *group.State            // the one with records
	skimmer    streams.Skimmer         // reads the log for it
	records    map[group.Entity][]byte // as of checkpoint or newer
	checkpoint int                     // events
	saving     []group.Entity          // on their way into records
	savedTo    int                     // the checkpoint these will make
	counts     struct{ evicted, loaded, takeovers, accepted int }
}

func newFolds(t *testing.T, name streams.Group, seed uint64) *folds {
	return &folds{
		live: newLive(t, name), name: name, rng: rand.New(rand.NewPCG(seed, 1)), stored: group.New(name),
		records: map[group.Entity][]byte{},
	}
}

func (f *folds) step() {
	f.now += int64(f.rng.IntN(300))
	switch f.rng.IntN(20) {
	case 0, 1:
		f.save()
	case 2, 3:
		before := f.stored.Held()
		f.stored.Evict(f.rng.IntN(30), func(group.Entity) bool { return f.rng.IntN(10) == 0 })
		f.counts.evicted += before - f.stored.Held()
	case 4:
		if f.rng.IntN(6) == 0 {
			f.takeOver()
		}
	default:
		f.command()
	}
}

// save writes the records of what changed, some at a time.
func (f *folds) save() {
	if f.saving == nil {
		f.saving, f.savedTo = f.stored.TakeDirty(), len(f.log)
		slices.SortFunc(f.saving, func(a, b group.Entity) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	for range 1 + f.rng.IntN(10) {
		if len(f.saving) == 0 {
			f.stored.Saved()
			f.saving, f.checkpoint = nil, f.savedTo
			return
		}
		e := f.saving[0]
		f.saving = f.saving[1:]
		f.records[e] = encoded(f.t, f.stored, e)
		if f.records[e] == nil {
			f.t.Fatalf("%+v was evicted before it was written", e)
		}
	}
}

// takeOver begins anew from the records a takeover reads and the log behind
// the checkpoint, and some before it.
func (f *folds) takeOver() {
	f.counts.takeovers++
	f.stored, f.saving = group.New(f.name), nil
	for e, data := range f.records {
		switch e {
		case group.Entity{}:
			r := &streampb.GroupRecord{}
			f.decode(data, r)
			f.stored.RestoreGroup(r)
		case group.Entity{Channel: e.Channel}:
			r := &streampb.ChannelRecord{}
			f.decode(data, r)
			f.stored.RestoreChannel(e.Channel, r)
		}
	}
	for _, e := range f.log[max(0, f.checkpoint-f.rng.IntN(5)):] {
		f.stored.Apply(e)
	}
}

func (f *folds) decode(data []byte, m proto.Message) {
	if err := proto.Unmarshal(data, m); err != nil {
		f.t.Fatal(err)
	}
}

// load restores what a command needs and the second fold lacks.
func (f *folds) load(r group.Request) {
	for range 10 {
		missing := f.stored.Missing(r)
		if len(missing) == 0 {
			return
		}
		for _, e := range missing {
			f.counts.loaded++
			if e.Member == group.AllMembers {
				for known, data := range f.records {
					if known.Member != "" {
						f.restore(known, data)
					}
				}
			}
			f.restore(e, f.records[e])
		}
	}
	f.t.Fatalf("%T: there is no end to what is missing", r.Body)
}

func (f *folds) restore(e group.Entity, data []byte) {
	if err := f.stored.Restore(e, data); err != nil {
		f.t.Fatal(err)
	}
}

// command does a random command on both folds.
func (f *folds) command() {
	r := group.Request{User: f.user(), Server: f.rng.IntN(8) == 0, Body: f.body()}
	if r.Server && f.rng.IntN(3) == 0 {
		r.TS = f.now - int64(f.rng.IntN(10_000))
	}
	switch body := r.Body.(type) {
	case *streampb.Edit:
		r.Target = &group.Target{Author: f.authors[streams.Number(body.GetN())]}
	case *streampb.Recall:
		r.Target = &group.Target{Author: f.authors[streams.Number(body.GetN())]}
	}
	f.load(r)
	want, wantErr := f.state.Decide(r, f.now)
	got, gotErr := f.stored.Decide(r, f.now)
	if fmt.Sprint(wantErr) != fmt.Sprint(gotErr) || len(want.Events) != len(got.Events) {
		f.t.Fatalf("%v at %d: %T %v: decided %v %v, with records %v %v", r.User, len(f.log), r.Body, r.Body, want.Events, wantErr, got.Events, gotErr)
	}
	if !proto.Equal(want.Answer, got.Answer) {
		f.t.Fatalf("%v %T: answered %v, with records %v", r.User, r.Body, want.Answer, got.Answer)
	}
	if len(want.Events) > 0 {
		f.counts.accepted++
	}
	for i, e := range want.Events {
		if one, other := compact(payloadOf(e)), compact(payloadOf(got.Events[i])); one != other {
			f.t.Fatalf("%v %T: decided %s, with records %s", r.User, r.Body, one, other)
		}
	}
	f.apply(want.Events)
	for _, e := range want.Events {
		data, err := streams.MarshalEvent(e) // nothing is shared between the folds
		if err != nil {
			f.t.Fatal(err)
		}
		again, err := f.skimmer.Event(data, e.Seq)
		if err != nil {
			f.t.Fatal(err)
		}
		f.stored.Apply(again)
	}
}

func (f *folds) user() streams.User { return streams.User(fmt.Sprint("u", f.rng.IntN(9))) }

func (f *folds) body() any {
	any := f.rng.IntN
	text, number := []byte(fmt.Sprint(any(1000))), uint64(1+any(10))
	peer := fmt.Sprint("u", any(3))
	switch any(16) {
	case 0:
		if any(2) == 0 {
			return &streampb.CreateGroup{Kind: "direct", Peer: peer}
		}
		return &streampb.CreateGroup{Kind: "community"}
	case 1:
		return &streampb.CreateChannel{Channel: []string{"c", "d"}[any(2)], Kind: "public"}
	case 2, 3:
		join := &streampb.Join{}
		if any(2) == 0 {
			hash := sha256.Sum256([]byte{byte(any(5))})
			join.CodeHash = hash[:]
		}
		return join
	case 4:
		return &streampb.Leave{}
	case 5, 6, 7, 8, 9:
		body := &streampb.ActOnMember{
			User: string(f.user()), Act: streampb.Act(any(10)), Role: streampb.Role(any(5)), UserGroups: []string{fmt.Sprint("r", any(3))},
		}
		if any(2) == 0 {
			body.Until = f.now + int64(any(2000))
		}
		return body
	case 10:
		patch := &streampb.SettingsPatch{Join: proto.String([]string{"open", "open", "invite", "approval"}[any(4)])}
		if any(2) == 0 {
			patch.MuteAll = proto.Bool(any(3) == 0)
		}
		return &streampb.UpdateGroup{Settings: patch}
	case 11:
		hash := sha256.Sum256([]byte{byte(any(5))})
		if any(3) == 0 {
			return &streampb.Invite{Invite: fmt.Sprint("i", any(5))}
		}
		return &streampb.Invite{Invite: fmt.Sprint("i", any(5)), Hash: hash[:], Expires: f.now + int64(any(5000)), Uses: uint64(any(3))}
	case 12:
		switch any(12) {
		case 0:
			if any(20) == 0 {
				return &streampb.DeleteGroup{}
			}
		case 1, 2:
			return &streampb.ReadMembers{}
		case 3:
			return &streampb.ReadAccess{}
		}
		return &streampb.Block{Peer: peer, Undo: any(2) == 0}
	case 13:
		return &streampb.Edit{Channel: "c", N: number, Body: text}
	case 14:
		return &streampb.Recall{Channel: "c", N: number}
	}
	send := &streampb.Send{Channel: []string{"c", "main"}[any(2)], Type: "text", Body: text, MentionAll: any(5) == 0}
	if any(3) == 0 {
		send.Peer = peer
	}
	return send
}

// compare folds the log from nothing and holds every record of all folds
// against each other, and the census against the members.
func (f *folds) compare() {
	scratch := group.New(f.name)
	for _, e := range f.log {
		scratch.Apply(e)
	}
	entities := scratch.TakeDirty()
	census := &streampb.Census{}
	for _, e := range entities {
		want := encoded(f.t, scratch, e)
		if got := encoded(f.t, f.state, e); !slices.Equal(got, want) {
			f.t.Errorf("%+v in memory differs from the log's", e)
		}
		got := f.records[e]
		if inMemory := encoded(f.t, f.stored, e); inMemory != nil {
			got = inMemory
		}
		if !slices.Equal(got, want) {
			f.t.Errorf("%+v with records differs from the log's", e)
		}
		if e.Member != "" {
			r := &streampb.MemberRecord{}
			f.decode(want, r)
			count(census, r.GetState().GetRole())
		}
	}
	if r, ok := scratch.Record(group.Entity{}).(*streampb.GroupRecord); ok && len(f.log) > 0 {
		if !proto.Equal(r.GetCensus(), census) {
			f.t.Errorf("the census is %v, the members are %v", r.GetCensus(), census)
		}
		if census.GetOwners() == 0 {
			f.t.Error("there is no owner")
		}
	}
	f.t.Logf("%d events, %+v", len(f.log), f.counts)
}

func count(c *streampb.Census, role streampb.Role) {
	if role != streampb.Role_ROLE_NONE {
		c.Members++
	}
	switch role {
	case streampb.Role_ROLE_MODERATOR:
		c.Moderators++
	case streampb.Role_ROLE_ADMIN:
		c.Admins++
	case streampb.Role_ROLE_OWNER:
		c.Owners++
	}
}
