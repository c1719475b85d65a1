package command

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/edge/backfill"
	"github.com/throng/throng/edge/hook"
	"github.com/throng/throng/edge/hub"
	"github.com/throng/throng/edge/limit"
	"github.com/throng/throng/edge/owner"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// serverUser is who a back end is when it speaks for nobody.
const serverUser streams.User = "@server"

const (
	pullDefault    = 100 // events
	historyDefault = 50  // messages
	membersDefault = 100
	membersMost    = 1000
)

// Config of a [Runner]. All fields are required.
type Config struct {
	Hub     *hub.Hub
	Loader  *backfill.Loader
	Owner   *owner.Client
	Logger  *slog.Logger
	Metrics *Metrics
	Limits  *limit.Admission
	Hook    *hook.Hook // nil for none
}

// Runner does commands. It may be used from any goroutine.
type Runner struct {
	config    Config
	rollbacks chan struct{} // one for each under way; holds rollbacksAtOnce. Never closed.
	most      int           // messages one rollback recalls
}

// New returns a runner.
func New(config Config) *Runner {
	return &Runner{config: config, rollbacks: make(chan struct{}, rollbacksAtOnce), most: rollbackMost}
}

// Caller is who asks, from the token.
type Caller struct {
	User   streams.User
	Server bool
}

func (c Caller) reader() hub.Reader { return hub.Reader(c) }

// Task is a command that is ready to be done.
type Task struct {
	wire.Command
	Caller Caller    // who it is done for
	Taken  time.Time // when it came; its deadline counts from here

	made bool // its invitation's code was made up here
}

// Writes reports whether the command changes something.
func (t *Task) Writes() bool { return t.Write != nil }

// Reader is who reads, for the hub.
func (t *Task) Reader() hub.Reader { return t.Caller.reader() }

// Size is what a write adds to a request, in bytes.
func (t *Task) Size() int { return proto.Size(t.Write) + 8 }

// Prepare makes a task of what caller asked at a time. Errors are
// [*streams.Rejection].
func (r *Runner) Prepare(caller Caller, c wire.Command, now time.Time) (*Task, error) {
	if !caller.Server && (c.As != "" || c.TS != 0) {
		return nil, streams.Reject(streams.Forbidden, "as and ts take a server token")
	}
	if c.TS > now.Add(streams.MaxClockAhead).UnixMilli() {
		return nil, streams.Reject(streams.BadRequest, "ts lies in the future")
	}
	t := &Task{Command: c, Caller: caller, Taken: now}
	if caller.Server {
		t.Caller.User = serverUser
		if c.As != "" {
			t.Caller.User = c.As
		}
	}
	if err := t.pair(); err != nil {
		return nil, err
	}
	if c.Undo != nil {
		return t, r.prepareRollback(t, now)
	}
	if c.Name == wire.Hide {
		return t, r.admitHide(t)
	}
	if c.Write == nil {
		return t, nil
	}
	if len(c.Write.ClientId) == 0 {
		c.Write.ClientId = newClientID(now).Bytes()
	}
	t.name(hex.EncodeToString(c.Write.ClientId))
	if !caller.Server {
		if err := r.config.Limits.Write(t.Caller.User, t.Group); err != nil {
			return nil, err
		}
	}
	t.Write.User, t.Write.Server, t.Write.Group = string(t.Caller.User), caller.Server, string(t.Group)
	if !caller.Server {
		// Reasons of joins and leaves are for imports.
		switch body := t.Write.Body.(type) {
		case *streampb.Command_Join:
			body.Join.Reason = ""
		case *streampb.Command_Leave:
			body.Leave.Reason = ""
		}
	}
	return t, nil
}

// prepareRollback has it admitted like a write.
func (r *Runner) prepareRollback(t *Task, now time.Time) error {
	if t.Undo.ClientID.IsZero() {
		t.Undo.ClientID = newClientID(now)
	}
	if t.Caller.Server {
		return nil
	}
	return r.config.Limits.Write(t.Caller.User, t.Group)
}

func newClientID(now time.Time) streams.ClientID {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:]) // never fails
	return streams.MakeClientID(now.UnixMilli(), entropy)
}

// admitHide refuses a hide for nobody, and one too many at a time.
func (r *Runner) admitHide(t *Task) error {
	if t.Caller.User == serverUser {
		return streams.Reject(streams.BadRequest, "hide takes as, the user it is done for")
	}
	if t.Caller.Server {
		return nil
	}
	return r.config.Limits.Own(t.Caller.User)
}

// Answer is what became of a task: the bare ok object, or an error.
type Answer struct {
	OK  []byte
	Err error // a [*streams.Rejection]
}

// Write has tasks of one group decided, in this order, as one request. They
// are writes, at most [streams.MaxBatchCommands] of at most
// [owner.MaxBatchBytes].
func (r *Runner) Write(ctx context.Context, tasks []*Task) []Answer {
	ctx, cancel := context.WithDeadline(ctx, tasks[0].Taken.Add(owner.Deadline))
	defer cancel()
	answers := make([]Answer, len(tasks))
	r.judge(ctx, tasks, answers)
	var commands []*streampb.Command
	for i, t := range tasks {
		if answers[i].Err == nil {
			t.Write.Present = t.Write.Present || r.config.Hub.Present(t.Group, t.Caller.User)
			commands = append(commands, t.Write)
		}
	}
	var results []*streampb.Result
	if len(commands) > 0 {
		results = r.config.Owner.Do(ctx, r.config.Owner.Partition(tasks[0].Group), commands)
	}
	for i, t := range tasks {
		if answers[i].Err == nil {
			answers[i] = r.written(t, results[0])
			results = results[1:]
		}
		r.config.Metrics.Answered(t.Name, t.Taken, answers[i].Err)
	}
	return answers
}

func (r *Runner) written(t *Task, result *streampb.Result) Answer {
	if refused := owner.Rejection(result); refused != nil {
		return Answer{Err: refused}
	}
	if result.Channel == "" {
		result.Channel = string(t.Channel)
	}
	r.config.Hub.Written(t.Group, t.channel(), streams.Version(result.GetV()))
	if result.GetDuplicate() && t.made {
		t.Code = "" // the first attempt made up another, which was told then
	}
	return Answer{OK: wire.AppendWritten(nil, &t.Command, result)}
}

// Read answers a reading command that stands alone.
func (r *Runner) Read(ctx context.Context, t *Task) Answer {
	ctx, cancel := context.WithDeadline(ctx, t.Taken.Add(2*owner.Deadline))
	defer cancel()
	ok, err := r.read(ctx, t)
	internal := err != nil && streams.AsRejection(err).Code == streams.Internal
	switch {
	case internal && ctx.Err() != nil:
		err = owner.Unavailable()
	case internal, errors.Is(err, backfill.ErrUnreadable):
		r.config.Logger.Warn("read", "command", t.Name, "group", t.Group, "channel", t.Channel, "err", err)
	}
	if err != nil {
		err = streams.AsRejection(err)
	}
	r.config.Metrics.Answered(t.Name, t.Taken, err)
	return Answer{OK: ok, Err: err}
}

func (r *Runner) read(ctx context.Context, t *Task) ([]byte, error) {
	switch t.Name {
	case wire.Ping:
		return wire.Empty(), nil
	case wire.Group:
		return r.group(ctx, t)
	case wire.Members:
		return r.members(ctx, t)
	case wire.Presence:
		return r.presence(ctx, t)
	case wire.Pull, wire.History, wire.Attrs, wire.Hide, wire.Signal:
		view, err := r.config.Hub.Open(ctx, t.Reader(), t.Group)
		if err != nil {
			return nil, err
		}
		defer view.Release()
		return inView(ctx, view, t)
	}
	return nil, streams.Reject(streams.BadRequest, "%s takes a WebSocket", t.Name)
}

// inView answers from a group that is followed.
func inView(ctx context.Context, view *hub.View, t *Task) ([]byte, error) {
	switch t.Name {
	case wire.Pull:
		return pull(ctx, view, t)
	case wire.History:
		return history(ctx, view, t)
	case wire.Hide:
		return wire.Empty(), view.Hide(ctx, t.Reader(), t.Channel, t.N)
	case wire.Attrs:
		return view.Attributes(ctx, t.Reader(), t.Channel, t.Command.Read.After, t.Command.Read.Keys)
	}
	return wire.Empty(), view.Signal(ctx, t.Reader(), t.Channel, t.Signal)
}

func pull(ctx context.Context, view *hub.View, t *Task) ([]byte, error) {
	after := streams.Version(t.Command.Read.After.Value)
	upto := streams.Version(t.Command.Read.Upto.Or(streams.MaxInteger))
	limit := int(min(t.Command.Read.Limit.Or(pullDefault), hub.AnswerEvents))
	entries, more, err := view.Pull(ctx, t.Reader(), t.Channel, after, upto, limit)
	if err != nil {
		return nil, err
	}
	events := make([][]byte, len(entries))
	for i, e := range entries {
		events[i] = e.JSON
	}
	return wire.AppendPulled(nil, events, after+streams.Version(len(entries)), more), nil
}

func history(ctx context.Context, view *hub.View, t *Task) ([]byte, error) {
	q := backfill.Query{
		Before: t.Command.Read.Before, After: t.Command.Read.After,
		Limit: int(min(t.Command.Read.Limit.Or(historyDefault), hub.AnswerEvents)),
	}
	messages, more, err := view.History(ctx, t.Reader(), t.Channel, q)
	if err != nil {
		return nil, err
	}
	bytes := 0
	lines := make([][]byte, 0, len(messages))
	for i, m := range messages {
		if !m.Recalled && hub.Expired(m.Posted) {
			m = &wire.Message{N: m.N, Expired: true}
		}
		line := wire.AppendMessage(nil, m)
		if bytes += len(line); i > 0 && bytes > hub.AnswerBytes {
			more = true
			break
		}
		lines = append(lines, line)
	}
	return wire.AppendHistory(nil, lines, more), nil
}

// Limits is what is asked before a command is prepared.
func (r *Runner) Limits() *limit.Admission { return r.config.Limits }

// Metrics counts what is answered elsewhere.
func (r *Runner) Metrics() *Metrics { return r.config.Metrics }
