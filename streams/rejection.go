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

// Rejection is a refusal as data: only Code, Message and RetryAfter ever reach
// a client.
type Rejection struct {
	Code       Code
	Message    string
	RetryAfter time.Duration  // when it may be worth trying again; 0: not by waiting
	Current    []AttributeNow // what attributes are, where if_v was refused
}

// AttributeNow is an attribute as a refused comparison found it.
type AttributeNow struct {
	Key, Value string
	V          Version // 0: it does not exist
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

// Proto is the rejection as results carry it.
func (r *Rejection) Proto() *streampb.Rejection {
	pb := &streampb.Rejection{Code: string(r.Code), Message: r.Message, RetryMs: r.RetryAfter.Milliseconds()}
	for _, now := range r.Current {
		pb.Current = append(pb.Current, &streampb.Attribute{Key: now.Key, Value: now.Value, V: uint64(now.V)})
	}
	return pb
}

// RejectionOf is the inverse of [Rejection.Proto].
func RejectionOf(pb *streampb.Rejection) *Rejection {
	r := &Rejection{
		Code: Code(pb.GetCode()), Message: pb.GetMessage(),
		RetryAfter: time.Duration(pb.GetRetryMs()) * time.Millisecond,
	}
	for _, now := range pb.GetCurrent() {
		r.Current = append(r.Current, AttributeNow{Key: now.GetKey(), Value: now.GetValue(), V: Version(now.GetV())})
	}
	return r
}
