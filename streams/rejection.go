package streams

import (
	"errors"
	"fmt"
	"time"

	"github.com/throng/throng/streams/streampb"
)

// Code says why a command was refused. Clients branch on it; the catalogue in
// docs/errors.md tells cause and cure of each.
type Code string

const (
	Unauthorized       Code = "unauthorized"
	Forbidden          Code = "forbidden"
	NotMember          Code = "not_member"
	NotFound           Code = "not_found"
	Muted              Code = "muted"
	Banned             Code = "banned"
	BadRequest         Code = "bad_request"
	TooLarge           Code = "too_large"
	RateLimited        Code = "rate_limited"
	SlowMode           Code = "slow_mode"
	Conflict           Code = "conflict"
	StaleClientID      Code = "stale_client_id"
	Unavailable        Code = "unavailable"
	HistoryUnavailable Code = "history_unavailable"
	Internal           Code = "internal"
)

// Rejection is a refusal as data: only what stands here ever reaches a client.
type Rejection struct {
	Code       Code
	Message    string
	RetryAfter time.Duration // when it may be worth trying again; 0: not by waiting
	// Current is how the attributes stand that a condition of the command was
	// about, with [Conflict]; V is 0 where there is none.
	Current []*streampb.Attribute
}

func (r *Rejection) Error() string { return string(r.Code) + ": " + r.Message }

// Reject returns a [*Rejection]. The message is for people, names no secret
// and does not echo what the client sent.
func Reject(code Code, format string, args ...any) *Rejection {
	return &Rejection{Code: code, Message: fmt.Sprintf(format, args...)}
}

// RejectRetry is [Reject] with a time after which to try again.
func RejectRetry(code Code, after time.Duration, format string, args ...any) *Rejection {
	return &Rejection{Code: code, Message: fmt.Sprintf(format, args...), RetryAfter: after}
}

// AsRejection returns the rejection in err's chain. Any other error becomes
// [Internal] with nothing of its text: what is inside stays inside.
func AsRejection(err error) *Rejection {
	var r *Rejection
	if errors.As(err, &r) {
		return r
	}
	return Reject(Internal, "internal error")
}
