package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
)

const (
	// MaxNewest is how many subjects one call of [Reader.Newest] may name, one
	// less than the server answers for.
	MaxNewest = 1000
	// staleReads is how often a read is repeated that replicas answer which are
	// behind.
	staleReads = 100
)

// newestGet is JetStream's request for the newest message of each of many
// subjects.
type newestGet struct {
	Subjects []string `json:"multi_last"`
	MaxBytes int      `json:"max_bytes"`
}

// Newest calls visit for the newest message of each subject that has one, in
// the order of their sequences. Subjects may hold wildcards. What it reads is as new as
// the stream was at sequence from, which anchor, a literal subject with a
// message, is asked along for: any replica may answer, and one that has not
// come so far is asked again. The anchor's own message is visited only where
// subjects name it. Without an anchor any replica's answer is taken. It returns [ErrBehind] if none has, and
// [ErrTooMany] if wildcards match more than the server tells of (1,024).
func (r *Reader) Newest(ctx context.Context, anchor string, from streams.Seq, subjects []string, visit func(Message) error) error {
	for range staleReads {
		asked := subjects
		if anchor != "" {
			asked = append([]string{anchor}, subjects...)
		}
		found, upto, more, err := r.newest(ctx, asked)
		switch {
		case errors.Is(err, ErrNoMessage) && anchor == "":
			return nil
		case errors.Is(err, ErrNoMessage), err == nil && upto < from: // not even the anchor, or an old one
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		for _, m := range found {
			if m.Subject == anchor && !slices.Contains(subjects, anchor) {
				continue
			}
			if err := visit(m); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		// The answer was cut off at its size: ask for the others.
		if subjects = without(subjects, found); len(found) < 2 {
			return fmt.Errorf("read %s: an answer without progress", r.stream)
		}
	}
	return fmt.Errorf("read %s as of %d: %w", r.stream, from, ErrBehind)
}

func without(subjects []string, found []Message) []string {
	have := make(map[string]struct{}, len(found))
	for _, m := range found {
		have[m.Subject] = struct{}{}
	}
	var rest []string
	for _, s := range subjects {
		if _, found := have[s]; !found {
			rest = append(rest, s)
		}
	}
	return rest
}

// newest asks once. upto is how far the replica that answered had come; more
// tells that the answer ends before all were told.
func (r *Reader) newest(ctx context.Context, subjects []string) (found []Message, upto streams.Seq, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	body, err := json.Marshal(newestGet{Subjects: subjects, MaxBytes: pageBytes})
	if err != nil {
		return nil, 0, false, err
	}
	var failed error
	err = r.transport.RequestMany(ctx, r.request, body, func(msg *nats.Msg) bool {
		if msg.Header.Get("Status") == "413" {
			failed = ErrTooMany
			return false
		}
		m, end, err := r.parse(msg)
		switch {
		case err != nil:
			failed = err
			return false
		case end:
			reached, err := strconv.ParseUint(msg.Header.Get("Nats-UpTo-Sequence"), 10, 64)
			if err != nil {
				failed = fmt.Errorf("read %s: an answer without its sequence", r.stream)
			}
			pending, _ := strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
			upto, more = streams.Seq(reached), pending > 0
			return false
		}
		found = append(found, m)
		return true
	})
	switch {
	case err != nil:
		return nil, 0, false, fmt.Errorf("read %s: %w", r.stream, err)
	case failed != nil:
		return nil, 0, false, failed
	}
	return found, upto, more, nil
}
