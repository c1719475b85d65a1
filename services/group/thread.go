package group

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// opensThread rejects who may not open this thread. A thread hangs from a
// message, or from the channel itself, and not from another thread: what is
// seen of it is what is seen of one channel.
func (s *State) opensThread(r Request, body *streampb.CreateChannel, now int64) error {
	if body.GetParent() == nil {
		return streams.Reject(streams.BadRequest, "a thread needs a parent")
	}
	_, ch, err := s.find(r, body.GetParent().GetChannel())
	if err != nil {
		return err
	}
	if err := s.may(r, CreateThread); err != nil {
		return err
	}
	if err := s.speaks(r, now); err != nil {
		return err
	}
	if ch.kind == kindThread {
		return streams.Reject(streams.BadRequest, "a thread hangs from a channel, not from a thread")
	}
	if n := body.GetParent().GetN(); n > 0 {
		return s.holds(r, ch, n)
	}
	return nil
}
