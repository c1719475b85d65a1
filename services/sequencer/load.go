package sequencer

import (
	"context"
	"slices"
	"time"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// What a command needs and memory lacks is fetched beside the deciding: the
// message an edit is about, from the log (target.go), and records of members,
// attributes and messages, from the snapshot. A batch waits for all of its own,
// then comes back to be decided. It is not overtaken by what the same users do
// in the same groups: that waits behind it.
type loads struct {
	places    chan struct{} // one for each fetch that runs; holds maxLoads
	fetched   chan *fetch   // never closed; holds maxLoads, so no fetch waits
	searching int           // of the running ones, those that search the log
	requests  int           // of the running ones, requests of small fetches; see gather.go
	gathered  []*fetch      // have a place and travel with others when one of those has ended; oldest first
	behind    []*Batch      // wait for a place, or for an earlier batch; oldest first
	moved     bool          // some of those behind may be able to go on

	// lanes counts the batches that are fetching or behind, by whom they are of.
	lanes map[laneKey]int
	// pinned counts the running fetches that will bring an entity: it must not
	// be evicted meanwhile, or it would come back older than it was.
	pinned map[entityKey]int
}

// laneKey is whose commands take effect in the order in which they came.
type laneKey struct {
	group streams.Group
	user  streams.User
}

// fetch is what one batch waits for.
type fetch struct {
	batch    *Batch      // nil: it waits behind another, and this is ahead of its turn
	targets  []wanted    // the messages its commands are about, to be searched for
	entities []entityKey // to be restored
	stored   streams.Seq // the snapshot must be as new as this
	ends     bool        // the request it travelled with has ended by it

	records []loaded // what was found
	tooMany []streams.Group
	err     error
}

type loaded struct {
	key  entityKey
	data []byte
}

const (
	// maxLoads bounds the fetches that run. Of them, maxLookups may search the
	// log: those commands are answered unavailable beyond it.
	maxLoads = 64
	// maxBehind bounds the batches that wait for a fetch to begin. Beyond it no
	// command is taken from the inbox.
	maxBehind = 1024
	// loadPatience is how long a fetch may take.
	loadPatience = 3 * time.Second
)

func newLoads() *loads {
	return &loads{
		places: make(chan struct{}, maxLoads), fetched: make(chan *fetch, maxLoads),
		lanes: map[laneKey]int{}, pinned: map[entityKey]int{},
	}
}

// idle reports whether nobody waits for a fetch.
func (l *loads) idle() bool { return len(l.places) == 0 && len(l.behind) == 0 }

// mark counts a batch that begins (by 1) or ends (by -1) to wait.
func (l *loads) mark(b *Batch, by int) {
	for _, lane := range b.lanes() {
		if l.lanes[lane] += by; l.lanes[lane] == 0 {
			delete(l.lanes, lane)
		}
	}
}

// waits reports whether a batch must wait behind another.
func (l *loads) waits(b *Batch) bool {
	if len(l.lanes) == 0 {
		return false
	}
	for _, lane := range b.lanes() {
		if l.lanes[lane] > 0 {
			return true
		}
	}
	return false
}

// lanes lists whose commands are in the batch.
func (b *Batch) lanes() []laneKey {
	if b.laneKeys == nil {
		last := laneKey{}
		for i := range b.Commands {
			c := &b.Commands[i]
			if key := (laneKey{c.Group, c.Request.User}); c.Invalid == nil && key != last {
				b.laneKeys, last = append(b.laneKeys, key), key
			}
		}
	}
	return b.laneKeys
}

// load starts to fetch what a batch needs and reports whether it waits now.
func (t *term) load(ctx context.Context, b *Batch) bool {
	if t.loads.waits(b) {
		t.loads.mark(b, 1)
		t.loads.behind = append(t.loads.behind, b)
		if !b.prefetched {
			b.prefetched = true
			t.prefetch(ctx, b)
		}
		return true
	}
	f := t.missing(b)
	if f == nil {
		return false
	}
	t.loads.mark(b, 1)
	select {
	case t.loads.places <- struct{}{}:
		t.startFetch(ctx, f)
	default:
		t.loads.behind = append(t.loads.behind, b)
	}
	return true
}

// prefetch fetches the records a batch will need that waits for its turn, while
// there are places enough. So who does many things, as a back end that adds
// members, waits for one fetch and not for each.
func (t *term) prefetch(ctx context.Context, b *Batch) {
	if len(t.loads.places) >= cap(t.loads.places)/2 {
		return
	}
	f := t.missing(b)
	if f == nil || len(f.entities) == 0 {
		return
	}
	f.batch, f.targets = nil, nil
	t.loads.places <- struct{}{}
	t.startFetch(ctx, f)
}

// missing lists what a batch needs and memory lacks; nil for nothing.
func (t *term) missing(b *Batch) *fetch {
	f := &fetch{batch: b, targets: t.missingTargets(b)}
	var seen map[entityKey]struct{}
	for i := range b.Commands {
		c := &b.Commands[i]
		st := t.fold.groups[c.Group]
		if c.Invalid != nil || st == nil || t.known(c) {
			continue
		}
		t.target(c)
		for _, e := range st.Missing(c.Request) {
			key := entityKey{c.Group, e}
			if _, twice := seen[key]; twice {
				continue
			}
			if seen == nil {
				seen = map[entityKey]struct{}{}
			}
			seen[key] = struct{}{}
			f.entities = append(f.entities, key)
		}
	}
	if len(f.targets)+len(f.entities) == 0 {
		return nil
	}
	return f
}

// known reports whether a command is a repetition: it needs nothing, unless its
// answer tells how things are now.
func (t *term) known(c *Command) bool {
	if _, join := c.Request.Body.(*streampb.Join); join {
		return false
	}
	if c.ClientID.IsZero() || t.sequencer.config.WithoutDedup {
		return false
	}
	_, known := t.fold.dedup.find(c.Request.User, c.ClientID)
	return known
}

// startFetch runs a fetch that has its place.
func (t *term) startFetch(ctx context.Context, f *fetch) {
	for _, key := range f.entities {
		t.loads.pinned[key]++
	}
	if f.small() {
		if t.loads.requests < maxRequests {
			t.request(ctx, []*fetch{f})
		} else {
			t.loads.gathered = append(t.loads.gathered, f)
		}
		return
	}
	if len(f.targets) > 0 {
		t.loads.searching++
	}
	f.stored = t.stored
	head := t.committed
	t.wait.Add(1)
	t.sequencer.spawn(func() { // waited for in term.close
		defer t.wait.Done()
		for _, w := range f.targets {
			t.sequencer.searchTarget(ctx, &f.batch.Commands[w.command], w.message, head)
		}
		if len(f.entities) > 0 {
			f.err = t.sequencer.fetch(ctx, f)
		}
		t.loads.fetched <- f
	})
}

// arrived takes what a fetch brought: it is decided, or fetches what it turned
// out to need besides.
func (t *term) arrived(ctx context.Context, f *fetch) error {
	if f.ends {
		t.requestEnded(ctx)
	}
	if err := t.restore(f); err != nil {
		return err
	}
	b := f.batch
	if b == nil {
		<-t.loads.places
		t.loads.moved = true
		return t.advance(ctx)
	}
	if t.tooLate(b) {
		return t.release(ctx, b)
	}
	if f.err == nil {
		if next := t.missing(b); next != nil && len(next.entities) > 0 {
			next.targets = nil // were searched for once
			t.startFetch(ctx, next)
			return nil
		}
	} else {
		t.sequencer.config.Logger.Warn("load records", "entities", len(f.entities), "err", f.err)
	}
	if err := t.decide(b); err != nil { // what could not be loaded is answered unavailable
		<-t.loads.places
		t.loads.mark(b, -1)
		return err
	}
	return t.release(ctx, b)
}

// restore puts what a fetch brought into memory.
func (t *term) restore(f *fetch) error {
	for _, key := range f.entities {
		if t.loads.pinned[key]--; t.loads.pinned[key] == 0 {
			delete(t.loads.pinned, key)
		}
	}
	if len(f.targets) > 0 {
		t.loads.searching--
	}
	if f.err != nil {
		return nil
	}
	t.sequencer.config.Metrics.Loaded.Add(float64(len(f.entities)))
	return t.put(f)
}

// put brings the records a fetch found, and that there are no others, into
// memory.
func (t *term) put(f *fetch) error {
	for _, r := range f.records {
		if err := t.fold.group(r.key.group).Restore(r.key.entity, r.data); err != nil {
			return err
		}
	}
	for _, key := range f.entities { // those that have no record, and whole lists
		if key.entity.Member == group.AllMembers && slices.Contains(f.tooMany, key.group) {
			t.fold.group(key.group).RestoreTooMany()
			continue
		}
		if err := t.fold.group(key.group).Restore(key.entity, nil); err != nil {
			return err
		}
		if key.entity.Attribute == group.AllAttributes {
			t.fold.graves[channelKey{key.group, key.entity.Channel}] = struct{}{}
		}
	}
	return nil
}

// release gives up the place of a batch that waits no more, and lets those
// behind it go on.
func (t *term) release(ctx context.Context, b *Batch) error {
	<-t.loads.places
	t.loads.mark(b, -1)
	t.loads.moved = true
	return t.advance(ctx)
}

// advance takes the batches behind anew, in the order in which they came, as
// far as the log and the fetches have room. Each waits again if it still must.
func (t *term) advance(ctx context.Context) error {
	l := t.loads
	if !l.moved || t.full() {
		return nil
	}
	l.moved = false
	rest := l.behind
	l.behind = nil
	for _, b := range rest {
		l.mark(b, -1)
	}
	for i, b := range rest {
		if l.moved = t.full(); l.moved || len(l.places) == cap(l.places) {
			for _, b := range rest[i:] {
				l.mark(b, 1)
			}
			l.behind = append(l.behind, rest[i:]...)
			return nil
		}
		if err := t.take(ctx, b); err != nil {
			l.behind = append(l.behind, rest[i+1:]...)
			return err
		}
	}
	return nil
}

// abandonLoads waits for the fetches, whose context has ended, and returns
// their batches, those that were gathered, and those behind them.
func (t *term) abandonLoads() []*Batch {
	t.wait.Wait()
	var batches []*Batch
	for len(t.loads.fetched) > 0 {
		if f := <-t.loads.fetched; f.batch != nil {
			batches = append(batches, f.batch)
		}
	}
	for _, f := range t.loads.gathered {
		if f.batch != nil {
			batches = append(batches, f.batch)
		}
	}
	return append(batches, t.loads.behind...)
}
