package command

import (
	"context"
	"slices"
	"time"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// asker is a command of who a task is done for.
func (r *Runner) asker(t *Task) *streampb.Command {
	return &streampb.Command{
		Group: string(t.Group), User: string(t.Caller.User), Server: t.Caller.Server,
		Present: r.config.Hub.Present(t.Group, t.Caller.User),
	}
}

func (r *Runner) ask(ctx context.Context, t *Task, command *streampb.Command) (*streampb.Result, error) {
	asker := r.asker(t)
	asker.Body = command.GetBody()
	return r.config.Owner.Ask(ctx, r.config.Owner.Partition(t.Group), asker)
}

func (r *Runner) group(ctx context.Context, t *Task) ([]byte, error) {
	info, err := r.config.Owner.Group(ctx, r.config.Owner.Partition(t.Group), r.asker(t))
	if err != nil {
		return nil, err
	}
	return wire.AppendGroup(nil, t.Group, info), nil
}

func (r *Runner) members(ctx context.Context, t *Task) ([]byte, error) {
	limit := uint32(min(t.Command.Read.Limit.Or(membersDefault), membersMost))
	result, err := r.ask(ctx, t, &streampb.Command{Body: &streampb.Command_Members{Members: &streampb.ReadMembers{
		After: string(t.Command.Read.Behind), Role: t.Command.Read.Role, Online: t.Command.Read.Online,
		Limit: limit,
	}}})
	if err != nil {
		return nil, err
	}
	page := result.GetMembers()
	if page.GetElsewhere() {
		list, err := r.config.Loader.Members(ctx, &streampb.MemberQuery{
			Group: string(t.Group), After: string(t.Command.Read.Behind), Limit: limit, Role: t.Command.Read.Role,
		})
		if err != nil {
			return nil, err
		}
		page.Members, page.After = list.GetMembers(), list.GetAfter()
		if err := r.markOnline(ctx, t, page); err != nil {
			return nil, err
		}
	}
	return wire.AppendMembers(nil, page, time.Now().UnixMilli()), nil
}

// markOnline asks the owner which of a page's members have a connection, since
// the projections don't know. Where only those are wanted the others are left
// out: a page may be short, and there is another where it says so.
func (r *Runner) markOnline(ctx context.Context, t *Task, page *streampb.MemberPage) error {
	if len(page.GetMembers()) == 0 {
		return nil
	}
	question := &streampb.ReadMembers{}
	for _, m := range page.GetMembers() {
		question.Among = append(question.Among, m.GetUser())
	}
	result, err := r.ask(ctx, t, &streampb.Command{Body: &streampb.Command_Members{Members: question}})
	if err != nil {
		return err
	}
	online := map[string]bool{}
	for _, m := range result.GetMembers().GetMembers() {
		online[m.GetUser()] = m.GetOnline()
	}
	for _, m := range page.GetMembers() {
		m.Online = online[m.GetUser()]
	}
	if t.Command.Read.Online {
		page.Members = slices.DeleteFunc(page.Members, func(m *streampb.MemberInfo) bool { return !m.GetOnline() })
	}
	return nil
}

// presence asks the owner, who hears of all edges.
func (r *Runner) presence(ctx context.Context, t *Task) ([]byte, error) {
	result, err := r.ask(ctx, t, &streampb.Command{Body: &streampb.Command_ReadPresence{ReadPresence: &streampb.ReadPresence{}}})
	if err != nil {
		return nil, err
	}
	return wire.AppendPresence(nil, result.GetPresence()), nil
}

// Enter lets a user into an open room, because they subscribe there. Errors
// are [*streams.Rejection].
func (r *Runner) Enter(ctx context.Context, caller Caller, g streams.Group) error {
	t, err := r.Prepare(caller, wire.Command{
		Name: wire.Join, Group: g, Write: &streampb.Command{Body: &streampb.Command_Join{Join: &streampb.Join{}}},
	}, time.Now())
	if err != nil {
		return err
	}
	t.Write.Present = true
	result, err := r.config.Owner.Together(ctx, r.config.Owner.Partition(g), t.Write)
	if err == nil {
		r.written(t, result)
	}
	r.config.Metrics.Answered(t.Name, t.Taken, err)
	return err
}
