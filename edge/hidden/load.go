package hidden

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
)

const (
	// loadMost is how many users' records are read by one request, and loadsAtOnce
	// how many requests to a stream are under way. Where so many users have more
	// records than the server tells of at once, each is read alone.
	loadMost    = 128
	loadsAtOnce = 4
)

// place is where a user's records of a group are.
type place struct {
	user  streams.User
	group streams.Group
}

// answer is what one of them hides there. Nobody changes it.
type answer struct {
	found map[streams.Channel]Numbers
	err   error
}

// Load returns what a user hides in a group's channels. Errors are
// [*streams.Rejection] with unavailable. In a deployment that was not
// provisioned for it nobody hides anything.
func (s *Store) Load(ctx context.Context, u streams.User, g streams.Group) (map[streams.Channel]Numbers, error) {
	_, p := s.of(u)
	a, err := p.loads.Ask(ctx, place{u, g})
	if err != nil {
		return nil, owner.Unavailable()
	}
	return a.found, a.err
}

// load reads what some users hide, all of whom are in one stream.
func (s *Store) load(ctx context.Context, q streams.Partition, places []place) []answer {
	ctx, cancel := context.WithTimeout(ctx, owner.Deadline)
	defer cancel()
	answers, err := s.read(ctx, q, places)
	if errors.Is(err, eventlog.ErrTooMany) && len(places) > 1 {
		for i, one := range places {
			answers[i] = s.load(ctx, q, []place{one})[0]
		}
		return answers
	}
	if err == nil {
		return answers
	}
	p := s.parts[q]
	if errors.Is(err, nats.ErrNoResponders) {
		if _, err := s.config.JS.Stream(ctx, p.name); errors.Is(err, jetstream.ErrStreamNotFound) {
			s.config.Logger.Warn("hidden messages are not provisioned for: run «throng provision»", "stream", p.name)
			return make([]answer, len(places))
		}
	}
	s.config.Logger.Warn("load hidden messages", "stream", p.name, "users", len(places), "err", err)
	for i := range answers {
		answers[i] = answer{err: owner.Unavailable()}
	}
	return answers
}

// read asks once for all.
func (s *Store) read(ctx context.Context, q streams.Partition, places []place) ([]answer, error) {
	p := s.parts[q]
	seen := p.told()
	last, _, _, _ := streams.ParseHidden(seen.Subject)
	answers := make([]answer, len(places))
	whose := make(map[place]int, len(places))
	var subjects []string
	anchored := false
	for i, one := range places {
		answers[i].found = map[streams.Channel]Numbers{}
		if first, twice := whose[one]; twice {
			answers[i].found = answers[first].found
			continue
		}
		whose[one] = i
		subjects = append(subjects, streams.HiddenFilter(q, one.user, one.group))
		anchored = anchored || last == one.user
	}
	if anchored {
		subjects = append(subjects, seen.Subject) // by its name, or it would not be told of
	}
	err := p.reader.Newest(ctx, seen.Subject, seen.Seq, subjects, func(m eventlog.Message) error {
		r, err := unmarshal(m)
		if i, asked := whose[place{r.User, r.Group}]; asked && err == nil {
			answers[i].found[r.Channel] = r.Numbers
		}
		return err
	})
	return answers, err
}
