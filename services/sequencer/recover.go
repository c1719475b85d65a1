package sequencer

import (
	"context"
	"errors"
	"fmt"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

// errLogLost: the log ends before what the snapshot has seen of it. It was lost
// or restored from an older backup; serving on would give numbers out twice.
var errLogLost = errors.New("the log was lost or rolled back")

// fold is the state of a partition as of some sequence of its log.
type fold struct {
	groups map[streams.Group]*group.State
	dedup  *dedup
	window int64                      // ms since 1970 UTC: the log's commands before it are behind the duplicate window
	dirty  map[streams.Group]struct{} // groups with records newer than the snapshot
	moved  map[channelKey]int         // channels that moved lately, and how many beacons have yet to tell of them

	// graves are the channels among whose attributes may be deleted ones that
	// have records yet; see attributes.go.
	graves map[channelKey]struct{}

	chunks     []chunk     // of the duplicate window in the snapshot, oldest first
	windowed   bool        // the snapshot holds the duplicate window, too
	checkpoint streams.Seq // up to which the snapshot was complete
	newest     streams.Seq // of what the snapshot reflects
	passed     bool        // another owner stood since this one's former term
	replayed   int         // messages read from the log

	around  group.Around    // tells every group who is present; nil while the log is folded
	held    int             // entities in memory that could be loaded again, of all groups
	order   []streams.Group // of groups, as eviction goes through them
	evictAt int             // in order
}

type channelKey struct {
	group   streams.Group
	channel streams.Channel
}

func newFold() *fold {
	return &fold{
		groups: map[streams.Group]*group.State{}, dedup: newDedup(),
		dirty: map[streams.Group]struct{}{}, moved: map[channelKey]int{},
		graves: map[channelKey]struct{}{},
	}
}

// group returns a group's state, a new empty one if there is none.
func (f *fold) group(g streams.Group) *group.State {
	s := f.groups[g]
	if s == nil {
		s = group.New(g)
		s.CountIn(&f.held)
		s.Attend(f.around)
		f.groups[g], f.order = s, append(f.order, g)
	}
	return s
}

// existing returns a group's state without keeping an empty one: unknown names
// must not cost memory.
func (f *fold) existing(g streams.Group) *group.State {
	if s := f.groups[g]; s != nil {
		return s
	}
	return group.New(g)
}

// reflects notes how far a record has come.
func (f *fold) reflects(record interface{ GetSeq() uint64 }) {
	f.newest = max(f.newest, streams.Seq(record.GetSeq()))
}

func (f *fold) apply(e *streams.Event) {
	f.group(e.Group).Apply(e)
	f.dirty[e.Group] = struct{}{}
	f.applied(e)
}

// applied notes what an event changed beside its group.
func (f *fold) applied(e *streams.Event) {
	f.newest = max(f.newest, e.Seq)
	if e.Kind() == streams.KindAttrDel {
		f.graves[channelKey{e.Group, e.Channel}] = struct{}{}
	}
}

// recoverFold reads the snapshot and folds the log over it, up to the term's own
// fence. The log is read from the checkpoint; after a snapshot of an older
// version that lacks the duplicate window, from the start of that.
func (s *Sequencer) recoverFold(ctx context.Context, fence, stateFence streams.Seq) (*fold, error) {
	f := newFold()
	f.window = s.config.Now().Add(-dedupKeep).UnixMilli()
	if err := s.readSnapshot(ctx, f, stateFence); err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	if f.checkpoint >= fence {
		return nil, fmt.Errorf("%w: the snapshot reflects %d, the log ends at %d", errLogLost, f.checkpoint, fence)
	}
	log := eventlog.NewReaderOver(s.transport, streams.LogStream(s.config.Partition))
	from := f.checkpoint + 1
	if !f.windowed {
		window, err := s.windowStart(ctx, log, fence)
		if err != nil {
			return nil, fmt.Errorf("find the duplicate window: %w", err)
		}
		from = min(from, window)
	}
	if err := s.lookBehind(ctx, log, f, fence); err != nil {
		return nil, err
	}
	r := s.newReplay(f)
	// A replica may answer that does not have our fence yet: read on until it is there.
	for r.last < fence {
		if err := log.Replay(ctx, max(from, r.last+1), fence, r.visit); err != nil {
			return nil, fmt.Errorf("fold the log: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	r.end()
	return f, nil
}

// lookBehind finds whether another fence stands between that of this owner's
// former term and the present one. Without that former one the log was rolled
// back, snapshots and all perhaps.
func (s *Sequencer) lookBehind(ctx context.Context, log *eventlog.Reader, f *fold, fence streams.Seq) error {
	if s.stood == 0 {
		return nil // it has not served before
	}
	if fence <= s.stood {
		return fmt.Errorf("%w: this owner's former term began at %d, the log ends at %d", errLogLost, s.stood, fence)
	}
	var next eventlog.Message
	err := untilThere(ctx, func() (err error) { // the present one is there for sure
		next, err = log.Next(ctx, streams.FenceSubject(s.config.Partition), s.stood+1)
		return err
	})
	if err != nil {
		return fmt.Errorf("look for other fences: %w", err)
	}
	f.passed = next.Seq != fence
	return nil
}

// windowStart is the first message of the duplicate window. The term's own
// fence lies in it, so a replica that finds nothing lags, and is asked again.
func (s *Sequencer) windowStart(ctx context.Context, log *eventlog.Reader, fence streams.Seq) (streams.Seq, error) {
	var own eventlog.Message
	err := untilThere(ctx, func() (err error) {
		own, err = log.At(ctx, fence)
		return err
	})
	if err != nil {
		return 0, err
	}
	start := s.config.Now()
	if own.Time.Before(start) { // the stream's clock may be behind ours
		start = own.Time
	}
	var first streams.Seq
	err = untilThere(ctx, func() (err error) {
		first, err = log.Since(ctx, streams.LogFilter(s.config.Partition), start.Add(-dedupKeep))
		return err
	})
	return first, err
}

// untilThere repeats a read of what is known to be stored until a replica
// answers that has it.
func untilThere(ctx context.Context, read func() error) error {
	for {
		err := read()
		if !errors.Is(err, eventlog.ErrNoMessage) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
