package eventlog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/throng/throng/streams"
)

// Stream looks at one stream as a whole and purges it.
type Stream struct {
	transport Transport
	name      string
}

// NewStream returns the stream; it touches no network.
func NewStream(transport Transport, name string) *Stream {
	return &Stream{transport: transport, name: name}
}

// StreamState is what a stream holds, as its leader says.
type StreamState struct {
	First streams.Seq // of the oldest message; one above Last if there is none
	Last  streams.Seq // of the newest message ever stored
	Bytes uint64
}

// State returns what the stream holds.
func (s *Stream) State(ctx context.Context) (StreamState, error) {
	var answer struct {
		State struct {
			First uint64 `json:"first_seq"`
			Last  uint64 `json:"last_seq"`
			Bytes uint64 `json:"bytes"`
		} `json:"state"`
		Error *apiError `json:"error"`
	}
	if err := s.ask(ctx, "INFO", nil, &answer); err != nil {
		return StreamState{}, fmt.Errorf("look at %s: %w", s.name, err)
	}
	if answer.Error != nil {
		return StreamState{}, fmt.Errorf("look at %s: jetstream error %d: %s", s.name, answer.Error.ErrCode, answer.Error.Description)
	}
	state := answer.State
	return StreamState{First: streams.Seq(state.First), Last: streams.Seq(state.Last), Bytes: state.Bytes}, nil
}

// PurgeBefore removes all messages below a sequence. After an error they may be
// gone or not; purging again is harmless.
func (s *Stream) PurgeBefore(ctx context.Context, seq streams.Seq) error {
	return s.purge(ctx, map[string]any{"seq": uint64(seq)})
}

// PurgeSubject removes the messages on a subject that are below a sequence, 0
// for all; see [Stream.PurgeBefore].
func (s *Stream) PurgeSubject(ctx context.Context, subject string, before streams.Seq) error {
	request := map[string]any{"filter": subject}
	if before != 0 {
		request["seq"] = uint64(before)
	}
	return s.purge(ctx, request)
}

func (s *Stream) purge(ctx context.Context, request map[string]any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	var answer struct {
		Success bool      `json:"success"`
		Error   *apiError `json:"error"`
	}
	if err := s.ask(ctx, "PURGE", body, &answer); err != nil {
		return fmt.Errorf("purge %s: %w", s.name, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("purge %s: jetstream error %d: %s", s.name, answer.Error.ErrCode, answer.Error.Description)
	}
	if !answer.Success {
		return fmt.Errorf("purge %s: refused without a reason", s.name)
	}
	return nil
}

func (s *Stream) ask(ctx context.Context, verb string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	msg, err := s.transport.Request(ctx, "$JS.API.STREAM."+verb+"."+s.name, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(msg.Data, answer)
}
