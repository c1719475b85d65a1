package projections

import (
	"sync/atomic"

	"github.com/throng/throng/streams"
)

// progress is where one partition stands, for who looks from outside the loop.
type progress struct {
	storedSeq atomic.Uint64 // everything up to here is stored or left out
	firstSeq  atomic.Uint64 // the log begins here
	lastSeq   atomic.Uint64 // the log ends here, as of the last look
}

func (p *progress) stored() streams.Seq { return streams.Seq(p.storedSeq.Load()) }
func (p *progress) first() streams.Seq  { return streams.Seq(p.firstSeq.Load()) }

// lag is how many entries of the log are not stored.
func (p *progress) lag() uint64 {
	last, stored := p.lastSeq.Load(), p.storedSeq.Load()
	if last < stored {
		return 0
	}
	return last - stored
}
