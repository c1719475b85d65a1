package follow

import (
	"time"

	"github.com/throng/throng/edge/ring"
	"github.com/throng/throng/streams"
)

const (
	// maxHeld is how many events ahead of their turn a channel keeps while a
	// load reads those before them. When it is full they are all dropped: the
	// load reads them as well.
	maxHeld = 4096
	// loadTries is after how many reads without progress a load gives up. The
	// next event or beacon begins another.
	loadTries    = 20
	firstPause   = 10 * time.Millisecond // doubled with each, up to longestPause
	longestPause = 500 * time.Millisecond
)

// Cause is how a missing live event was noticed.
type Cause string

const (
	ByEvent  Cause = "event"  // a later one came
	ByBeacon Cause = "beacon" // the owner said so
	ByWrite  Cause = "write"  // the answer to a command said so
	ByResync Cause = "resync" // the connection to NATS came back
)

// Receiver is who a channel is followed for. Its methods are called while an
// input is taken: they must not wait and not hand in another.
type Receiver interface {
	// Deliver takes the channel's next event; its JSON is nil where it came
	// live. The channel has moved there already.
	Deliver(ring.Entry)
	// Load begins a load of what is missing; false if it cannot.
	Load(by Cause) (begun bool)
	// Stale tells of a live event that was written after a newer fence.
	Stale(*streams.Event)
}

// Channel follows the log of one channel.
type Channel struct {
	to        Receiver
	unchecked bool // see Config.Unchecked

	place   streams.Place
	n       streams.Number
	seq     streams.Seq      // of the event at place
	held    []*streams.Event // ahead of place, in the order they came; at most maxHeld
	wanted  streams.Version  // newest version known to exist, while loading
	loading bool
	closed  bool

	tries int           // reads without progress of the load that runs
	pause time.Duration // after the next of them
}

// Missing is what a load reads next: After < v <= Upto. No event above After
// lies at or below the sequence Lo.
type Missing struct {
	After, Upto streams.Version
	Lo          streams.Seq
}

// At is the version of the newest event that was delivered or began the
// channel.
func (c *Channel) At() streams.Version { return c.place.V }

// Messages is the number of messages up to there.
func (c *Channel) Messages() streams.Number { return c.n }

// Seq is the sequence of the event there.
func (c *Channel) Seq() streams.Seq { return c.seq }

// Start sets the channel to where its owner says it stands.
func (c *Channel) Start(place streams.Place, n streams.Number, seq streams.Seq) {
	c.place = streams.Place{V: place.V, Epoch: max(c.place.Epoch, place.Epoch)}
	c.n, c.seq = n, seq
}

// Want tells that the channel has come to a version, which makes it load what
// lies before and has not arrived.
func (c *Channel) Want(version streams.Version, by Cause) {
	c.wanted = max(c.wanted, version)
	if c.loading || c.closed || c.place.V >= c.wanted {
		return
	}
	c.tries, c.pause = 0, firstPause
	c.loading = c.to.Load(by)
}

// Missing returns what the load is to read now. It is over when ok is false.
func (c *Channel) Missing() (m Missing, ok bool) {
	m = Missing{After: c.place.V, Upto: c.wanted, Lo: c.seq}
	if len(c.held) > 0 && c.held[0].V > m.After+1 {
		m.Upto = min(m.Upto, c.held[0].V-1)
	}
	if c.closed || m.After >= c.wanted || c.tries == loadTries {
		c.Abandon()
		return Missing{}, false
	}
	return m, true
}

// Loaded takes what was read, nothing if reading failed. pause is how long to
// wait before the next read: 0 after progress.
func (c *Channel) Loaded(entries []ring.Entry) (pause time.Duration) {
	before := c.place.V
	for _, entry := range entries {
		// The reader has judged it against the fences of its time. Judged here,
		// an event of an earlier term would seem stale behind a newer fence.
		if !c.closed && (entry.Event.V == c.place.V+1 || c.unchecked && entry.Event.V > c.place.V) {
			c.deliver(entry)
		}
	}
	c.release()
	if c.place.V > before {
		c.tries, c.pause = 0, firstPause
		return 0
	}
	c.tries++
	pause, c.pause = c.pause, min(2*c.pause, longestPause)
	return pause
}

// Abandon ends the load that runs. The next event or beacon begins another.
func (c *Channel) Abandon() { c.loading, c.wanted = false, c.place.V }

// live judges an event that came by itself.
func (c *Channel) live(e *streams.Event) {
	switch c.judge(e) {
	case streams.Belongs:
		c.deliver(ring.Entry{Event: e})
		c.release()
	case streams.Ahead:
		c.hold(e)
		c.Want(e.V, ByEvent)
	case streams.Stale:
		c.to.Stale(e)
	}
}

func (c *Channel) judge(e *streams.Event) streams.Verdict {
	verdict := streams.Judge(c.place, e)
	if verdict == streams.Ahead && c.unchecked {
		return streams.Belongs
	}
	return verdict
}

func (c *Channel) deliver(entry ring.Entry) {
	e := entry.Event
	c.place = c.place.After(e)
	c.n, c.seq = e.N, e.Seq
	c.to.Deliver(entry)
}

// hold keeps an event for after the load.
func (c *Channel) hold(e *streams.Event) {
	if len(c.held) == maxHeld {
		c.held = nil
	}
	c.held = append(c.held, e)
}

// release delivers the held events whose turn has come.
func (c *Channel) release() {
	for len(c.held) > 0 {
		e := c.held[0]
		verdict := c.judge(e)
		if verdict == streams.Ahead {
			return
		}
		c.held = c.held[1:]
		if verdict == streams.Belongs && !c.closed {
			c.deliver(ring.Entry{Event: e})
		}
	}
	c.held = nil
}

func (c *Channel) fence(epoch streams.Epoch) { c.place.Epoch = max(c.place.Epoch, epoch) }
