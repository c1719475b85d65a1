package streams

import "fmt"

// Verdict is what a reader does with an event it has received.
type Verdict int

const (
	// Belongs: it is the channel's next event.
	Belongs Verdict = iota
	// Known: the reader has it already; ignore it.
	Known
	// Ahead: events before it are missing; fetch them first.
	Ahead
	// Stale: a former owner of the partition wrote it after a newer fence;
	// it is in nobody's history. Ignore and count it.
	Stale
)

func (v Verdict) String() string {
	switch v {
	case Belongs:
		return "belongs"
	case Known:
		return "known"
	case Ahead:
		return "ahead"
	case Stale:
		return "stale"
	}
	return fmt.Sprintf("verdict %d", int(v))
}

// Place is how far a reader has come in one channel. The zero value is a
// reader that has seen nothing of an empty channel.
type Place struct {
	V     Version // newest event seen
	Epoch Epoch   // newest term seen: of that event, or of a fence since
}

// Judge decides whether e belongs after place. It is the one rule for edge,
// projection, snapshot and replay; it depends on nothing but the log.
func Judge(place Place, e *Event) Verdict {
	switch {
	case e.Epoch < place.Epoch:
		if e.V <= place.V {
			return Known // an older event read again, or a stale one: both are to be ignored
		}
		return Stale
	case e.V <= place.V:
		return Known
	case e.V > place.V+1:
		return Ahead
	}
	return Belongs
}

// After returns the place once e has been taken.
func (p Place) After(e *Event) Place {
	return Place{V: e.V, Epoch: max(p.Epoch, e.Epoch)}
}
