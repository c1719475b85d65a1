package group

import (
	"unicode"
	"unicode/utf8"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// checkEmoji takes any text: which emojis there are changes every year, and
// applications have their own.
func checkEmoji(emoji string) error {
	if len(emoji) == 0 || len(emoji) > streams.MaxEmoji || !utf8.ValidString(emoji) {
		return streams.Reject(streams.BadRequest, "emoji must be 1 to %d bytes of UTF-8", streams.MaxEmoji)
	}
	for _, c := range emoji {
		if unicode.IsControl(c) {
			return streams.Reject(streams.BadRequest, "emoji must not have control characters")
		}
	}
	return nil
}

// reactable finds the message of a reaction, and its card.
func (s *State) reactable(r Request, name string, n uint64, emoji string) (streams.Channel, *channel, *card, error) {
	c, ch, err := s.find(r, name)
	if err != nil {
		return "", nil, nil, err
	}
	if err := s.may(r, React); err != nil {
		return "", nil, nil, err
	}
	if err := checkEmoji(emoji); err != nil {
		return "", nil, nil, err
	}
	if err := s.holds(r, ch, n); err != nil {
		return "", nil, nil, err
	}
	k := s.cards[cardKey{c, streams.Number(n)}]
	if k == nil || !k.loaded {
		return "", nil, nil, notLoaded()
	}
	return c, ch, k, nil
}

func (s *State) react(r Request, body *streampb.React, now int64) (Decision, error) {
	c, ch, k, err := s.reactable(r, body.GetChannel(), body.GetN(), body.GetEmoji())
	if err != nil {
		return Decision{}, err
	}
	if err := s.taken(r); err != nil {
		return Decision{}, err
	}
	if err := s.speaks(r, now); err != nil {
		return Decision{}, err
	}
	has, count := k.has(body.GetEmoji(), r.User)
	switch {
	case has:
		return answer(&streampb.Result{V: uint64(ch.v), Already: true, Count: uint64(count)})
	case count == 0 && len(k.reactions) >= streams.MaxEmojis:
		return Decision{}, streams.Reject(streams.Conflict, "a message has at most %d different reactions", streams.MaxEmojis)
	case k.total() >= streams.MaxReactions:
		return Decision{}, streams.Reject(streams.Conflict, "a message has at most %d reactions", streams.MaxReactions)
	}
	return one(r, c, streams.Reacted{Reacted: &streampb.Reacted{
		Target: body.GetN(), Emoji: body.GetEmoji(), Count: uint64(count) + 1,
	}})
}

// unreact takes a reaction back; who is muted may, too.
func (s *State) unreact(r Request, body *streampb.Unreact) (Decision, error) {
	c, ch, k, err := s.reactable(r, body.GetChannel(), body.GetN(), body.GetEmoji())
	if err != nil {
		return Decision{}, err
	}
	has, count := k.has(body.GetEmoji(), r.User)
	if !has {
		return answer(&streampb.Result{V: uint64(ch.v), Already: true, Count: uint64(count)})
	}
	return one(r, c, streams.Unreacted{Unreacted: &streampb.Unreacted{
		Target: body.GetN(), Emoji: body.GetEmoji(), Count: uint64(count) - 1,
	}})
}
