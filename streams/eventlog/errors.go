package eventlog

import (
	"errors"
	"fmt"
)

var (
	// ErrFenced: another fence was put up since. The term is over and what
	// was refused is not in the log.
	ErrFenced = errors.New("fenced by a newer term")

	// ErrFull: the stream is at its size limit. Nothing was stored.
	ErrFull = errors.New("the stream is full")

	// ErrUnknown: the append may or may not be in the log. Only reading back
	// after a new fence tells.
	ErrUnknown = errors.New("the outcome of the append is unknown")

	// ErrNoMessage: there is no message at that sequence or on that subject.
	ErrNoMessage = errors.New("no message")

	// ErrBehind: no replica that answered has come as far as was asked for.
	ErrBehind = errors.New("the replicas are behind")

	// ErrTooMany: more messages than the server answers one question with.
	ErrTooMany = errors.New("too many messages")
)

// apiError is JetStream's error object in an acknowledgement.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// JetStream error codes the writer tells apart.
const (
	codeWrongLastSequence      = 10071 // another wrote: fenced
	codeWrongLastSequenceConst = 10164 // an append of one's own is still in flight
	codeMaxMessages            = 10076 // limits of the stream
	codeMaxBytes               = 10077
)

func (e *apiError) asError() error {
	switch e.ErrCode {
	case codeWrongLastSequence:
		return fmt.Errorf("%w: %s", ErrFenced, e.Description)
	case codeMaxBytes, codeMaxMessages:
		return fmt.Errorf("%w: %s", ErrFull, e.Description)
	case codeWrongLastSequenceConst:
		return fmt.Errorf("%w: %s", ErrUnknown, e.Description)
	}
	// The server has no code of its own for «maximum bytes exceeded» of a
	// DiscardNew stream: it says so in words, under code 503.
	switch e.Description {
	case "maximum bytes exceeded", "maximum messages exceeded":
		return fmt.Errorf("%w: %s", ErrFull, e.Description)
	}
	return fmt.Errorf("%w: jetstream error %d: %s", ErrUnknown, e.ErrCode, e.Description)
}
