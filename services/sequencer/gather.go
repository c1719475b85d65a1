package sequencer

import (
	"context"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams/eventlog"
)

// Small fetches of records travel together while others are under way: a
// request for many records costs hardly more than one for a single one, and
// when ten thousand members come back at once it is requests that would make
// each of them wait. Large ones, as of a back end that adds members, and those
// that search or list go alone, so that nobody waits behind them.
const (
	// smallFetch is how many records a fetch may need to travel with others.
	smallFetch = 16
	// maxRequests bounds the requests of small fetches under way. Beyond it they
	// are gathered, and one request asks for all of them when another has ended.
	maxRequests = 4
)

// small reports whether a fetch may wait to travel with others.
func (f *fetch) small() bool {
	if len(f.targets) > 0 || len(f.entities) > smallFetch {
		return false
	}
	for _, key := range f.entities {
		if key.entity.Member == group.AllMembers || key.entity.Attribute == group.AllAttributes {
			return false
		}
	}
	return true
}

// request asks for what fetches need that travel together. Each of them comes
// back by itself, the last one telling that the request has ended.
func (t *term) request(ctx context.Context, together []*fetch) {
	t.loads.requests++
	for _, f := range together {
		f.stored = t.stored
	}
	together[len(together)-1].ends = true
	t.wait.Add(1)
	t.sequencer.spawn(func() { // waited for in term.close
		defer t.wait.Done()
		t.sequencer.fetchTogether(ctx, together)
		for _, f := range together {
			t.loads.fetched <- f // each has its place there
		}
	})
}

// requestEnded asks for what was gathered meanwhile.
func (t *term) requestEnded(ctx context.Context) {
	l := t.loads
	l.requests--
	entities, count := 0, 0
	for count < len(l.gathered) && entities+len(l.gathered[count].entities) <= eventlog.MaxNewest {
		entities += len(l.gathered[count].entities)
		count++
	}
	if count > 0 {
		together := l.gathered[:count:count]
		l.gathered = l.gathered[count:]
		t.request(ctx, together)
	}
}

// fetchTogether is fetch for several.
func (s *Sequencer) fetchTogether(ctx context.Context, together []*fetch) {
	if len(together) == 1 {
		together[0].err = s.fetch(ctx, together[0])
		return
	}
	all := &fetch{stored: together[0].stored}
	needed := map[entityKey][]*fetch{}
	for _, f := range together {
		for _, key := range f.entities {
			if needed[key] == nil {
				all.entities = append(all.entities, key)
			}
			needed[key] = append(needed[key], f)
		}
	}
	err := s.fetch(ctx, all)
	for _, record := range all.records {
		for _, f := range needed[record.key] {
			f.records = append(f.records, record)
		}
	}
	for _, f := range together {
		f.err = err
	}
}
