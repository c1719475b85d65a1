package edge

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/throng/throng/edge/command"
	"github.com/throng/throng/edge/token"
	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// status is the HTTP status of each refusal.
var status = map[streams.Code]int{
	streams.BadRequest:         http.StatusBadRequest,
	streams.Unauthorized:       http.StatusUnauthorized,
	streams.Forbidden:          http.StatusForbidden,
	streams.NotMember:          http.StatusForbidden,
	streams.Banned:             http.StatusForbidden,
	streams.Muted:              http.StatusForbidden,
	streams.NotFound:           http.StatusNotFound,
	streams.Conflict:           http.StatusConflict,
	streams.StaleClientID:      http.StatusConflict,
	streams.TooLarge:           http.StatusRequestEntityTooLarge,
	streams.RateLimited:        http.StatusTooManyRequests,
	streams.SlowMode:           http.StatusTooManyRequests,
	streams.Unavailable:        http.StatusServiceUnavailable,
	streams.HistoryUnavailable: http.StatusServiceUnavailable,
	streams.Internal:           http.StatusInternalServerError,
}

// serveCommand does one command: POST /v1/<command>.
func (e *Edge) serveCommand(w http.ResponseWriter, r *http.Request) {
	name := wire.Name(r.PathValue("command"))
	if !command.Known(name) {
		refuse(w, streams.Reject(streams.NotFound, "there is no such command"), 0)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, streams.Reject(streams.BadRequest, "commands are POSTed"), http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxFrame))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			refuse(w, streams.Reject(streams.TooLarge, "a command may have %d bytes", wire.MaxFrame), 0)
		} else {
			refuse(w, streams.Reject(streams.BadRequest, "the body could not be read"), 0)
		}
		return
	}
	ok, err := e.do(r.Context(), name, r.Header.Get("Authorization"), body)
	if err != nil {
		refuse(w, streams.AsRejection(err), 0)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(ok, '\n')) // the asker may be gone
}

func refuse(w http.ResponseWriter, r *streams.Rejection, code int) {
	if code == 0 {
		code = status[r.Code]
	}
	if code == 0 {
		code = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		seconds := max(1, math.Ceil(r.RetryAfter.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	w.WriteHeader(code)
	_, _ = w.Write(append(wire.AppendRefusal(nil, r), '\n')) // the asker may be gone
}

// do does one command that stands alone, for whom the authorization names.
// Errors are [*streams.Rejection].
func (e *Edge) do(ctx context.Context, name wire.Name, authorization string, body []byte) ([]byte, error) {
	taken := time.Now()
	ok, err := e.doAs(ctx, name, authorization, body, taken)
	if err != nil && !errors.Is(err, errCounted) {
		e.runner.Metrics().Answered(name, taken, err)
	}
	return ok, err
}

// errCounted marks refusals that were counted where they were made.
var errCounted = errors.New("counted")

func (e *Edge) doAs(ctx context.Context, name wire.Name, authorization string, body []byte, taken time.Time) ([]byte, error) {
	caller, err := e.bearer(ctx, authorization)
	if err != nil {
		return nil, err
	}
	switch name {
	case wire.Connect, wire.Subscribe, wire.Unsubscribe:
		return nil, streams.Reject(streams.BadRequest, "%s takes a WebSocket", name)
	}
	if len(body) == 0 {
		body = wire.Empty()
	}
	c, err := wire.Parse(name, body)
	if err != nil {
		return nil, err
	}
	task, err := e.runner.Prepare(caller, c, taken)
	if err != nil {
		return nil, err
	}
	if name == wire.Signal && !caller.Server {
		if err := e.runner.Limits().Signal(caller.User); err != nil {
			return nil, err
		}
	}
	var answer command.Answer
	switch {
	// What was taken is finished even if the asker goes away.
	case task.Undo != nil:
		answer = e.runner.Rollback(e.life, task)
	case task.Writes():
		answer = e.runner.Write(e.life, []*command.Task{task})[0]
	default:
		answer = e.runner.Read(ctx, task)
	}
	if answer.Err != nil {
		return nil, errors.Join(answer.Err, errCounted)
	}
	return answer.OK, nil
}

// bearer returns who the authorization names.
func (e *Edge) bearer(ctx context.Context, authorization string) (command.Caller, error) {
	scheme, raw, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return command.Caller{}, streams.Reject(streams.Unauthorized, "an Authorization: Bearer token is required")
	}
	who, err := e.verifier.Verify(ctx, strings.TrimSpace(raw))
	if errors.Is(err, token.ErrExpired) {
		return command.Caller{}, streams.Reject(streams.Unauthorized, "the token has expired")
	}
	if err != nil {
		return command.Caller{}, streams.Reject(streams.Unauthorized, "the token is not accepted")
	}
	return command.Caller{User: who.User, Server: who.Server}, nil
}
