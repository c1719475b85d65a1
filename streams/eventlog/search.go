package eventlog

import (
	"context"
	"errors"

	"github.com/throng/throng/streams"
)

// Search returns the first message with lo <= sequence <= hi on filter for
// which reached is true, or [ErrNoMessage]. reached must stay true once it is,
// as «has at least this v» does in a channel's log. It costs about
// log2(hi−lo) direct gets of some 25 µs, however much lies between.
func (r *Reader) Search(ctx context.Context, filter string, lo, hi streams.Seq, reached func(Message) (bool, error)) (Message, error) {
	lo = max(lo, 1)
	found := Message{}
	for lo <= hi {
		mid := lo + (hi-lo)/2
		m, err := r.Next(ctx, filter, mid)
		switch {
		case errors.Is(err, ErrNoMessage), err == nil && m.Seq > hi:
			if mid == lo {
				return notZero(found)
			}
			hi = mid - 1
			continue
		case err != nil:
			return Message{}, err
		}
		yes, err := reached(m)
		if err != nil {
			return Message{}, err
		}
		if !yes {
			lo = m.Seq + 1
			continue
		}
		found = m
		if mid == lo {
			return found, nil
		}
		hi = mid - 1
	}
	return notZero(found)
}

func notZero(m Message) (Message, error) {
	if m.Seq == 0 {
		return m, ErrNoMessage
	}
	return m, nil
}
