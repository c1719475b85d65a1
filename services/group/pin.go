package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func (c *channel) pin(n streams.Number) {
	if !slices.Contains(c.pinned, n) {
		c.pinned = append(c.pinned, n)
	}
}

func (c *channel) unpin(n streams.Number) {
	if i := slices.Index(c.pinned, n); i >= 0 {
		c.pinned = slices.Delete(c.pinned, i, i+1)
	}
}

func (c *channel) pinnedNumbers() []uint64 {
	numbers := make([]uint64, len(c.pinned))
	for i, n := range c.pinned {
		numbers[i] = uint64(n)
	}
	return numbers
}

func (s *State) pin(r Request, body *streampb.Pin) (Decision, error) {
	c, ch, err := s.find(r, body.GetChannel())
	if err != nil {
		return Decision{}, err
	}
	if err := s.may(r, PinMessage); err != nil {
		return Decision{}, err
	}
	if err := s.holds(r, ch, body.GetN()); err != nil {
		return Decision{}, err
	}
	if slices.Contains(ch.pinned, streams.Number(body.GetN())) {
		return answer(&streampb.Result{V: uint64(ch.v), Already: true})
	}
	if len(ch.pinned) >= streams.MaxPins {
		return Decision{}, streams.Reject(streams.Conflict, "a channel has at most %d pinned messages", streams.MaxPins)
	}
	return one(r, c, streams.Pinned{Pinned: &streampb.Pinned{Target: body.GetN()}})
}

func (s *State) unpin(r Request, body *streampb.Unpin) (Decision, error) {
	c, ch, err := s.find(r, body.GetChannel())
	if err != nil {
		return Decision{}, err
	}
	if err := s.may(r, PinMessage); err != nil {
		return Decision{}, err
	}
	if n := body.GetN(); n == 0 || n > uint64(ch.n) {
		return Decision{}, noMessage()
	}
	if !slices.Contains(ch.pinned, streams.Number(body.GetN())) {
		return answer(&streampb.Result{V: uint64(ch.v), Already: true})
	}
	return one(r, c, streams.Unpinned{Unpinned: &streampb.Unpinned{Target: body.GetN()}})
}
