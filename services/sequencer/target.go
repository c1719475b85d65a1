package sequencer

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
)

// authors remembers who wrote the newest messages and when, so that edits and
// recalls of them need no look into the log. That never changes, so it is only
// ever incomplete, not wrong.
type authors struct {
	cache *otter.Cache[messageKey, group.Target]
}

type messageKey struct {
	channelKey
	n streams.Number
}

const maxAuthors = 1 << 16 // messages, some 10 MB

func newAuthors() *authors {
	return &authors{cache: otter.Must(&otter.Options[messageKey, group.Target]{MaximumSize: maxAuthors})}
}

func (a *authors) add(e *streams.Event) {
	a.cache.Set(messageKey{channelKey{e.Group, e.Channel}, e.N}, targetIs(e))
}

// targetIs is what commands need to know of a message.
func targetIs(e *streams.Event) group.Target {
	p, _ := e.Payload.(streams.MessagePosted)
	return group.Target{Seq: e.Seq, Author: e.User, TS: e.TS, Expires: p.GetExpires()}
}

// targetOf returns the message that must be looked up for a command.
func (t *term) targetOf(c *Command) (key messageKey, ok bool) {
	st := t.fold.groups[c.Group]
	if st == nil || c.Request.Target != nil || c.Invalid != nil {
		return messageKey{}, false
	}
	channel, n := st.NeedsTarget(c.Request)
	name, err := streams.ParseChannel(channel)
	return messageKey{channelKey{c.Group, name}, streams.Number(n)}, err == nil && n > 0
}

// target gives the command what is known of its message.
func (t *term) target(c *Command) {
	key, ok := t.targetOf(c)
	if !ok {
		return
	}
	if target, known := t.authors.cache.GetIfPresent(key); known {
		c.Request.Target = &target
	}
}

// wanted is a message a command of a batch is about.
type wanted struct {
	command int
	message messageKey
}

// missingTargets lists the commands of a batch about messages whose authors
// are not remembered. It is empty while too many searches are running: those
// commands are answered unavailable.
func (t *term) missingTargets(b *Batch) []wanted {
	var missing []wanted
	for i := range b.Commands {
		key, ok := t.targetOf(&b.Commands[i])
		if !ok {
			continue
		}
		if _, known := t.authors.cache.GetIfPresent(key); known {
			continue
		}
		if key.n <= t.fold.groups[key.group].Messages(key.channel) {
			missing = append(missing, wanted{i, key})
		}
	}
	if t.loads.searching >= maxLookups {
		return nil
	}
	return missing
}

// searchTarget looks for the message a command is about, up to head.
func (s *Sequencer) searchTarget(ctx context.Context, c *Command, key messageKey, head streams.Seq) {
	if target, ok := s.author(ctx, key, head); ok {
		c.Request.Target = &target
	}
}

// author finds who wrote a message: in the log, or in ClickHouse where the log
// no longer holds it.
func (s *Sequencer) author(ctx context.Context, key messageKey, head streams.Seq) (group.Target, bool) {
	reader := eventlog.NewReaderOver(s.transport, streams.LogStream(s.config.Partition))
	subject := streams.LogSubject(s.config.Partition, key.group, key.channel)
	var found *streams.Event
	_, err := reader.Search(ctx, subject, 1, head, func(m eventlog.Message) (bool, error) {
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return false, err
		}
		if e.N < key.n {
			return false, nil
		}
		found = e
		return true, nil
	})
	if err == nil && found != nil && found.N == key.n && found.Kind() == streams.KindMessage {
		return targetIs(found), true
	}
	return s.storedAuthor(ctx, key)
}

// storedWithin bounds the question to the projections.
const storedWithin = 2 * time.Second

func (s *Sequencer) storedAuthor(ctx context.Context, key messageKey) (group.Target, bool) {
	question, err := proto.Marshal(&streampb.HistoryQuery{
		Group: string(key.group), Channel: string(key.channel), After: uint64(key.n) - 1, Limit: 1,
	})
	if err != nil {
		return group.Target{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, storedWithin)
	defer cancel()
	msg, err := s.transport.Request(ctx, streams.QueryHistory, question)
	if err != nil {
		return group.Target{}, false
	}
	page := &streampb.HistoryPage{}
	if err := proto.Unmarshal(msg.Data, page); err != nil || len(page.GetMessages()) == 0 {
		return group.Target{}, false
	}
	message := page.GetMessages()[0]
	user, err := streams.ParseUser(message.GetUser())
	return group.Target{
			Seq: streams.Seq(message.GetSeq()), Author: user, TS: message.GetTs(),
			Expires: message.GetMessage().GetExpires(), Recalled: message.GetRecalled(),
		},
		err == nil && message.GetN() == uint64(key.n)
}
