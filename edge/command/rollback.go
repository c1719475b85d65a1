package command

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	// rollbackWithin is how long a rollback works; its answer is there within 60 s.
	rollbackWithin = 55 * time.Second
	// rollbackMost is how many messages one command recalls. Beyond, it says so.
	rollbackMost = 50_000
	// rollbacksAtOnce bounds those under way on this edge; further ones are
	// refused with a time to try again.
	rollbacksAtOnce = 4
	// recallBatch is how many recalls are asked for at once.
	recallBatch = 200
)

// rollback is one such command being done. It makes nothing but ordinary
// commands, whose client_ids follow from its own, so that repeating it does
// nothing twice.
type rollback struct {
	*Runner
	task      *Task
	partition streams.Partition
	authors   *backfill.Authors
	recalled  int
	banned    int
	more      bool // there is more to recall
}

// Rollback bans users and recalls what they wrote. It goes on for up to 60 s
// unless ctx ends.
func (r *Runner) Rollback(ctx context.Context, t *Task) Answer {
	ctx, cancel := context.WithDeadline(ctx, t.Taken.Add(rollbackWithin))
	defer cancel()
	rb := &rollback{Runner: r, task: t, partition: r.config.Owner.Partition(t.Group)}
	err := rb.run(ctx)
	if err != nil {
		refused := streams.AsRejection(err)
		if refused.Code == streams.Internal {
			r.config.Logger.Warn("roll back", "group", t.Group, "recalled", rb.recalled, "err", err)
			refused = owner.Unavailable()
		}
		r.config.Metrics.Answered(t.Name, t.Taken, refused)
		return Answer{Err: refused}
	}
	r.config.Metrics.Answered(t.Name, t.Taken, nil)
	return Answer{OK: wire.AppendRolledBack(nil, rb.recalled, rb.banned, rb.authors.Head(), rb.more)}
}

// run bans first: behind that nothing new can come.
func (rb *rollback) run(ctx context.Context) error {
	if err := rb.act(ctx, true); err != nil {
		return err
	}
	select {
	case rb.rollbacks <- struct{}{}:
		defer func() { <-rb.rollbacks }()
	default:
		return streams.RejectRetry(streams.RateLimited, 5*time.Second, "too much is being rolled back at the moment")
	}
	if rb.task.Undo.Ban {
		if err := rb.act(ctx, false); err != nil {
			return err
		}
	}
	if err := rb.look(ctx); err != nil {
		return err
	}
	logged, err := rb.config.Loader.Logged(ctx, rb.authors)
	if err != nil {
		return fmt.Errorf("find messages in the log: %w", err)
	}
	if err := rb.recall(ctx, logged.Messages); err != nil || rb.more || logged.Complete {
		return err
	}
	return rb.purged(ctx, logged.Below)
}

// act bans the users as the caller, or only asks whether the caller may: for
// all of them before the first is banned. The first refusal is returned.
func (rb *rollback) act(ctx context.Context, check bool) error {
	ctx, cancel := context.WithTimeout(ctx, owner.Deadline)
	defer cancel()
	undo, label := rb.task.Undo, "ban"
	if check {
		label = "check"
	}
	present := rb.config.Hub.Present(rb.task.Group, rb.task.Caller.User)
	commands := make([]*streampb.Command, len(undo.Users))
	for i, user := range undo.Users {
		commands[i] = rb.command(label, string(user), 0)
		commands[i].Server, commands[i].Present = rb.task.Caller.Server, present
		commands[i].Body = &streampb.Command_Member{Member: &streampb.ActOnMember{
			User: string(user), Act: streampb.Act_ACT_BAN, Until: undo.Until, Reason: undo.Reason, Check: check,
		}}
	}
	for _, result := range rb.config.Owner.Do(ctx, rb.partition, commands) {
		if refused := owner.Rejection(result); refused != nil {
			return refused
		}
		if !check {
			rb.config.Hub.Written(rb.task.Group, streams.MembersChannel, streams.Version(result.GetV()))
			if changed(result) {
				rb.banned++
			}
		}
	}
	return nil
}

// changed reports whether a command did something, and did it now.
func changed(result *streampb.Result) bool { return !result.GetAlready() && !result.GetDuplicate() }

// command is one of those a rollback is made of, but for its body.
func (rb *rollback) command(label, name string, n streams.Number) *streampb.Command {
	hash := sha256.New()
	hash.Write(rb.task.Undo.ClientID.Bytes()) // hashes never fail
	hash.Write([]byte(label + "\x00" + name + "\x00"))
	hash.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	id := streams.MakeClientID(rb.task.Undo.ClientID.Millis(), [10]byte(hash.Sum(nil)))
	return &streampb.Command{Group: string(rb.task.Group), User: string(rb.task.Caller.User), ClientId: id.Bytes()}
}

// look learns from the owner which channels there are and how far they go.
func (rb *rollback) look(ctx context.Context) error {
	snapshot, err := rb.config.Owner.Snapshot(ctx, rb.partition, rb.asker(rb.task))
	if err != nil {
		return err
	}
	undo := rb.task.Undo
	rb.authors = &backfill.Authors{
		Partition: rb.partition, Group: rb.task.Group, Users: map[streams.User]bool{}, Channels: snapshot.GetChannels(),
		Seq: streams.Seq(undo.SinceSeq.Value), TS: int64(undo.Since.Value),
	}
	for _, user := range undo.Users {
		rb.authors.Users[user] = true
	}
	return nil
}

// purged recalls what the log no longer holds, channel by channel.
func (rb *rollback) purged(ctx context.Context, below map[streams.Channel]streams.Number) error {
	for _, c := range rb.authors.Channels {
		before, ok := below[streams.Channel(c.GetChannel())]
		if !ok || streams.Seq(c.GetSeq()) < rb.authors.Seq {
			continue // nothing anybody sees, or nothing so new
		}
		found, err := rb.config.Loader.Stored(ctx, rb.authors, c, before, nil, rb.most-rb.recalled+1)
		if err != nil {
			return err
		}
		if err := rb.recall(ctx, found); err != nil || rb.more {
			return err
		}
	}
	return nil
}

// recall recalls messages until the limit of one command or the end of its
// time. It is the server's act in the caller's name: the bans were allowed, and
// a raid does not stop at channels the caller is not in.
func (rb *rollback) recall(ctx context.Context, messages []backfill.Written) error {
	for len(messages) > 0 {
		if rb.recalled >= rb.most || ctx.Err() != nil {
			rb.more = true
			return nil
		}
		size := min(recallBatch, len(messages), rb.most-rb.recalled)
		commands := make([]*streampb.Command, size)
		for i, m := range messages[:size] {
			commands[i] = rb.command("recall", string(m.Channel), m.N)
			commands[i].Server = true
			commands[i].Body = &streampb.Command_Recall{Recall: &streampb.Recall{
				Channel: string(m.Channel), N: uint64(m.N), Author: string(m.User),
			}}
		}
		again, err := rb.recallSome(ctx, messages[:size], commands)
		if err != nil {
			return err
		}
		messages = messages[size:]
		if len(again) > 0 { // the owner could not take all of them now
			messages = append(again, messages...)
			pause(ctx)
		}
	}
	return nil
}

// recallSome returns what has to be tried again.
func (rb *rollback) recallSome(ctx context.Context, messages []backfill.Written, commands []*streampb.Command) (again []backfill.Written, err error) {
	for i, result := range rb.config.Owner.Do(ctx, rb.partition, commands) {
		refused := owner.Rejection(result)
		switch {
		case refused == nil:
			rb.config.Hub.Written(rb.task.Group, messages[i].Channel, streams.Version(result.GetV()))
			if changed(result) {
				rb.recalled++
			}
		case refused.Code == streams.NotFound: // its channel was deleted meanwhile
		case refused.Code == streams.Unavailable:
			again = append(again, messages[i])
		default:
			return nil, refused
		}
	}
	return again, nil
}

func pause(ctx context.Context) {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
