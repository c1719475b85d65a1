package group

import (
	"slices"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func (s *State) checkBody(body []byte) error {
	limit := s.meta.settings.GetMaxMessageBytes()
	switch {
	case len(body) == 0:
		return streams.Reject(streams.BadRequest, "the body is empty")
	case int64(len(body)) > limit:
		return streams.Reject(streams.TooLarge, "the body is longer than %d bytes", limit)
	}
	return nil
}

func (s *State) send(r Request, body *streampb.Send, now int64) (Decision, error) {
	c, ch, err := s.find(r, body.GetChannel())
	if err != nil {
		return Decision{}, err
	}
	if err := s.mayWrite(r, ch); err != nil {
		return Decision{}, err
	}
	if err := s.speaks(r, now); err != nil {
		return Decision{}, err
	}
	if err := s.checkBody(body.GetBody()); err != nil {
		return Decision{}, err
	}
	if t := body.GetType(); len(t) == 0 || len(t) > streams.MaxType {
		return Decision{}, streams.Reject(streams.BadRequest, "type must be 1 to %d bytes", streams.MaxType)
	}
	if err := checkMentions(body); err != nil {
		return Decision{}, err
	}
	if mentionsAll(body) {
		if err := s.may(r, MentionAll); err != nil {
			return Decision{}, err
		}
	}
	if body.GetReplyTo() > uint64(ch.n) {
		return Decision{}, streams.Reject(streams.BadRequest, "reply_to names no message of this channel")
	}
	if ttl := body.GetTtlMs(); ttl < 0 || ttl > streams.MaxInteger-now {
		return Decision{}, streams.Reject(streams.BadRequest, "ttl_ms must not be negative, nor end after all time")
	}
	if wait := s.waiting(r, ch, now); wait > 0 {
		return Decision{}, streams.RejectRetry(streams.SlowMode, wait, "slow mode: wait before the next message")
	}
	posted := &streampb.MessagePosted{
		Type: body.GetType(), Body: body.GetBody(), BodyJson: body.GetBodyJson(),
		Mentions: body.GetMentions(), MentionAll: mentionsAll(body), MentionRoles: body.GetMentionRoles(),
		ReplyTo: body.GetReplyTo(), Priority: body.GetPriority(),
	}
	if ttl := body.GetTtlMs(); ttl > 0 {
		posted.Expires = now + ttl
	}
	return one(r, c, streams.MessagePosted{MessagePosted: posted})
}

// mentionsAll reports whether a message mentions everybody: by saying so, or by
// naming the role that everybody has at least.
func mentionsAll(body *streampb.Send) bool {
	return body.GetMentionAll() || slices.Contains(body.GetMentionRoles(), streams.RoleName(streampb.Role_ROLE_MEMBER))
}

func checkMentions(body *streampb.Send) error {
	if len(body.GetMentions()) > streams.MaxMentions || len(body.GetMentionRoles()) > streams.MaxMentions {
		return streams.Reject(streams.BadRequest, "a message mentions at most %d users and roles", streams.MaxMentions)
	}
	for _, names := range [][]string{body.GetMentions(), body.GetMentionRoles()} {
		for _, name := range names {
			if _, err := streams.ParseUser(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func noMessage() error { return streams.NoMessage() }

// holds rejects what is no message of the channel that the caller sees, or one
// that was recalled.
func (s *State) holds(r Request, c *channel, n uint64) error {
	switch {
	case n == 0 || n > uint64(c.n):
		return noMessage()
	case s.beganLater(r) && r.Target == nil:
		return notLookedUp()
	case s.beganLater(r) && r.Target.Seq < s.standing(r.User).joinedSeq:
		return noMessage()
	case c.isRecalled(streams.Number(n)), r.Target != nil && r.Target.Recalled:
		return streams.Reject(streams.NotFound, "the message was recalled")
	}
	return nil
}

// beganLater reports whether there may be messages that the caller does not see.
func (s *State) beganLater(r Request) bool {
	return !r.Server && s.meta.settings.GetHistory() == "since_join"
}

// NeedsTarget returns the message that must be looked up before a request is
// decided, n 0 for none.
func (s *State) NeedsTarget(r Request) (channel string, n uint64) {
	switch body := r.Body.(type) {
	case *streampb.Edit:
		return body.GetChannel(), body.GetN()
	case *streampb.Recall:
		return body.GetChannel(), body.GetN()
	}
	if !s.beganLater(r) {
		return "", 0
	}
	switch body := r.Body.(type) {
	case *streampb.React:
		return body.GetChannel(), body.GetN()
	case *streampb.Unreact:
		return body.GetChannel(), body.GetN()
	case *streampb.Pin:
		return body.GetChannel(), body.GetN()
	case *streampb.CreateChannel:
		return body.GetParent().GetChannel(), body.GetParent().GetN()
	}
	return "", 0
}

func notLookedUp() error {
	return streams.Reject(streams.Unavailable, "the message can't be looked up now")
}

// target finds the message an edit or recall is about.
func (s *State) target(r Request, name string, n uint64) (streams.Channel, *channel, error) {
	c, ch, err := s.find(r, name)
	if err != nil {
		return "", nil, err
	}
	if n == 0 || n > uint64(ch.n) {
		return "", nil, noMessage()
	}
	if r.Target == nil {
		return "", nil, notLookedUp()
	}
	return c, ch, nil
}

func (s *State) edit(r Request, body *streampb.Edit, now int64) (Decision, error) {
	c, ch, err := s.target(r, body.GetChannel(), body.GetN())
	if err != nil {
		return Decision{}, err
	}
	if r.Target.Author != r.User {
		return Decision{}, streams.Reject(streams.Forbidden, "only its author edits a message")
	}
	if err := s.mayWrite(r, ch); err != nil {
		return Decision{}, err
	}
	if err := s.speaks(r, now); err != nil {
		return Decision{}, err
	}
	if err := s.checkBody(body.GetBody()); err != nil {
		return Decision{}, err
	}
	if err := s.holds(r, ch, body.GetN()); err != nil {
		return Decision{}, err
	}
	if window := s.meta.settings.GetEditWindowMs(); window > 0 && happened(r, now)-r.Target.TS > window {
		return Decision{}, streams.Reject(streams.Forbidden, "it is too late to edit this message")
	}
	return one(r, c, streams.MessageEdited{MessageEdited: &streampb.MessageEdited{
		Target: body.GetN(), Body: body.GetBody(), BodyJson: body.GetBodyJson(), Expires: r.Target.Expires,
	}})
}

func (s *State) recall(r Request, body *streampb.Recall) (Decision, error) {
	c, ch, err := s.target(r, body.GetChannel(), body.GetN())
	if err != nil {
		return Decision{}, err
	}
	if r.Target.Author != r.User {
		if err := s.mayUpon(r, RecallOthers, r.Target.Author); err != nil {
			return Decision{}, err
		}
	}
	if ch.isRecalled(streams.Number(body.GetN())) || r.Target.Recalled {
		return answer(&streampb.Result{V: uint64(ch.v), Already: true})
	}
	return one(r, c, streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{Target: body.GetN()}})
}
