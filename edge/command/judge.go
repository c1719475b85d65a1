package command

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/throng/throng/edge/hook"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// judgedAtOnce bounds the questions of one batch under way.
const judgedAtOnce = 16

// judge asks the before-send hook about messages, and puts the refusals into
// answers. Batches keep their order: they are judged whole before any of them
// is sent.
func (r *Runner) judge(ctx context.Context, tasks []*Task, answers []Answer) {
	if r.config.Hook == nil {
		return
	}
	var questions errgroup.Group
	questions.SetLimit(judgedAtOnce)
	for i, t := range tasks {
		if t.Caller.Server {
			continue
		}
		switch body := t.Write.Body.(type) {
		case *streampb.Command_Send:
			questions.Go(func() error {
				q := hook.Question{
					Type: body.Send.Type, Mentions: body.Send.Mentions, MentionAll: body.Send.MentionAll, ReplyTo: body.Send.ReplyTo,
				}
				answers[i].Err = r.judgeOne(ctx, t, q, &body.Send.Body, &body.Send.BodyJson)
				return nil
			})
		case *streampb.Command_Edit:
			questions.Go(func() error {
				answers[i].Err = r.judgeOne(ctx, t, hook.Question{N: body.Edit.N}, &body.Edit.Body, &body.Edit.BodyJson)
				return nil
			})
		}
	}
	_ = questions.Wait() // refusals are in answers
}

// judgeOne asks about one message and takes the judged body in.
func (r *Runner) judgeOne(ctx context.Context, t *Task, q hook.Question, body *[]byte, isJSON *bool) error {
	q.Command, q.Group, q.Channel, q.User, q.ClientID = string(t.Name), t.Group, t.Channel, t.Caller.User, t.ClientID().String()
	judged, err := r.config.Hook.Judge(ctx, q, hook.Body{Bytes: *body, JSON: *isJSON})
	switch {
	case err == nil:
		*body, *isJSON = judged.Bytes, judged.JSON
		return nil
	case !errors.Is(err, hook.ErrFailed):
		return err
	}
	setting := "closed" // of a group that can't be asked
	if view, err := r.config.Hub.Open(ctx, t.Reader(), t.Group); err == nil {
		setting = view.Settings().GetHook()
		view.Release()
	}
	if r.config.Hook.Closed(setting) {
		return streams.RejectRetry(streams.Unavailable, time.Second, "messages can't be checked at the moment, try again")
	}
	return nil
}
