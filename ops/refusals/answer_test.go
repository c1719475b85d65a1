package refusals_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/throng/throng/edge"
	"github.com/throng/throng/edge/wire"
)

// round is one asker going over everything by one way.
type round struct {
	*world
	kind
	way   string
	ask   way
	found *findings
}

// newRound makes a world and its asker.
func newRound(t testing.TB, d *deployment, k kind, id, way string, found *findings) *round {
	t.Helper()
	w := newWorld(t, d, id, k.since)
	k.becomes(w)
	return &round{world: w, kind: k, way: way, ask: ways[way](t, d, k.token(t, w)), found: found}
}

// asks has one form done and judges the answer.
func (r *round) asks(f form, group, channel string, n int) answer {
	object := f.fill(r.world, group, channel, n)
	a := r.ask(r.t, string(f.command), object)
	for _, secret := range r.told(a.body, r.may) {
		if strings.Contains(object, secret) {
			continue // the asker's own word; that it is no sign is for same to say
		}
		r.found.leak("%s over %s: %s %s tells %s: %.600s", r.kind.name, r.way, f.command, object, secret, a)
	}
	if code := a.code(); code == "internal" || code == "no JSON" {
		r.found.sign("%s over %s: %s %s: %s", r.kind.name, r.way, f.command, object, a)
	}
	return a
}

// same wants one answer about all of some things.
func (r *round) same(f form, what string, answers map[string]answer) {
	var first string
	for name, a := range answers {
		if first == "" {
			first = name
		} else if other := answers[first]; other.String() != a.String() {
			r.found.sign("%s over %s: %s %s: of %s %s it says %s, and of %s %s",
				r.kind.name, r.way, f.command, f.object, what, first, other, name, a)
		}
	}
}

// channels are those of the world, by whether they are there for the asker.
func (r *round) channels() (there, not []string) {
	never := "never-" + r.id
	switch {
	case !r.member && r.thorough():
		return nil, []string{r.open, "@", "@members", r.vault, r.closed, never}
	case !r.member:
		return nil, []string{r.open, r.vault, never}
	}
	there, not = []string{r.open}, []string{never}
	if r.thorough() {
		there, not = []string{r.open, r.announce, r.thread, "@", "@members"}, []string{r.burnt, r.closed, never}
	}
	if r.inside {
		return append(there, r.vault, r.attic), not
	}
	return there, append(not, r.vault, r.attic)
}

// thorough reports whether everything is asked by this way. By the others goes
// what shows that they are no different: the parts they have in common begin
// right behind them.
func (r *round) thorough() bool { return r.way == "WebSocket" }

// everything goes over all forms.
func (r *round) everything() {
	there, not := r.channels()
	for _, f := range forms {
		if !f.about("$G") {
			r.asks(f, "", "", 1)
			continue
		}
		r.elsewheres(f)
		if !f.about("$C") {
			r.asks(f, r.group, "", 1)
			continue
		}
		answers := map[string]answer{}
		for _, channel := range not {
			answers[channel] = r.asks(f, r.group, channel, 1)
		}
		r.same(f, "channel", answers)
		for _, channel := range there {
			r.asks(f, r.group, channel, 1)
		}
	}
}

// elsewheres asks about groups that are not there, and those of others.
func (r *round) elsewheres(f form) {
	if !r.thorough() && r.kind.name != kinds[0].name {
		return
	}
	if r.server && f.about("$X") { // would make what is not there
		return
	}
	pairs := [][]string{{r.gone, r.never}}
	if !r.server { // back ends see direct groups
		pairs = append(pairs, []string{r.direct, r.otherwise})
	}
	for _, pair := range pairs {
		answers := map[string]answer{}
		for _, group := range pair {
			channel := r.open
			if group[0] == '@' {
				channel = "main"
			}
			answers[group] = r.asks(f, group, channel, 1)
		}
		r.same(f, "group", answers)
	}
	if f.command != wire.DeleteGroup {
		r.asks(f, r.ours, "main", 1)
	}
}

// It proves that no user of any kind is told, by any command over any way, a
// byte of what is not theirs to know, nor by two different answers whether
// something is not there or not for them.
func TestAnswersTellNothing(t *testing.T) {
	d := deploy(t)
	var found findings
	t.Run("all", func(t *testing.T) {
		for i, k := range kinds {
			for way := range ways {
				t.Run(k.name+" over "+way, func(t *testing.T) {
					t.Parallel()
					newRound(t, d, k, fmt.Sprint(i, way[:1]), way, &found).everything()
				})
			}
		}
	})
	found.report(t)
}

// The judges are judged: at an edge that shows private channels to everybody
// they find secrets and signs, over each way; and who may know a secret is told
// it.
func TestAnswersThatTellAreFound(t *testing.T) {
	d := deploy(t, func(c *edge.Config) { c.Revealing = true })
	member := kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == "member" })]
	for way := range ways {
		var found findings
		newRound(t, d, member, "seeded"+way[:1], way, &found).everything()
		if len(found.leaks) == 0 || len(found.signs) == 0 {
			t.Errorf("over %s: %d secrets and %d signs found", way, len(found.leaks), len(found.signs))
		}
	}
}
