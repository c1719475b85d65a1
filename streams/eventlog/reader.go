package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
)

// pageMessages and pageBytes bound one direct-get request.
const (
	pageMessages = 1000
	pageBytes    = 8 << 20 // bytes
)

// answerPatience is how long the server may take for one answer. A node that
// dies with a request in hand never answers it, and the caller's context may
// live for as long as the process does.
const answerPatience = 3 * time.Second

// Message is one stored message.
type Message struct {
	Subject string
	Seq     streams.Seq
	Time    time.Time // when the stream stored it
	Data    []byte
}

// Reader reads one stream.
type Reader struct {
	transport Transport
	stream    string
	request   string
	worth     uint64 // from how many messages on a replay has a consumer
}

// NewReader returns a reader; it touches no network.
func NewReader(conn *nats.Conn, stream string) *Reader { return NewReaderOver(OverNATS(conn), stream) }

// NewReaderOver is [NewReader] over another transport.
func NewReaderOver(transport Transport, stream string) *Reader {
	return &Reader{transport: transport, stream: stream, request: "$JS.API.DIRECT.GET." + stream, worth: replayWorth}
}

// directGet is JetStream's request: from Seq (or Start) on, messages whose
// subject matches Next.
type directGet struct {
	Seq      uint64     `json:"seq,omitempty"`
	Start    *time.Time `json:"start_time,omitempty"`
	Next     string     `json:"next_by_subj,omitempty"`
	Last     string     `json:"last_by_subj,omitempty"`
	Batch    int        `json:"batch,omitempty"`
	MaxBytes int        `json:"max_bytes,omitempty"`
}

// Scan calls visit for each message with from <= sequence <= upto whose
// subject matches filter, in order, and stops at the stream's end or when
// visit returns an error, which it returns. upto 0 means no limit. An empty
// range is no error.
func (r *Reader) Scan(ctx context.Context, filter string, from, upto streams.Seq, visit func(Message) error) error {
	from = max(from, 1)
	for upto == 0 || from <= upto {
		page, left, err := r.page(ctx, directGet{
			Seq: uint64(from), Next: filter, Batch: pageMessages, MaxBytes: pageBytes,
		})
		if err != nil {
			return err
		}
		for _, m := range page {
			if upto != 0 && m.Seq > upto {
				return nil
			}
			if err := visit(m); err != nil {
				return err
			}
			from = m.Seq + 1
		}
		if left == 0 || len(page) == 0 {
			return nil
		}
	}
	return nil
}

// Next returns the first message at or after from whose subject matches
// filter, or [ErrNoMessage].
func (r *Reader) Next(ctx context.Context, filter string, from streams.Seq) (Message, error) {
	return r.one(ctx, directGet{Seq: uint64(max(from, 1)), Next: filter})
}

// Page returns up to limit messages at or after from whose subject matches
// filter, and whether there are more.
func (r *Reader) Page(ctx context.Context, filter string, from streams.Seq, limit int) ([]Message, bool, error) {
	page, left, err := r.page(ctx, directGet{Seq: uint64(max(from, 1)), Next: filter, Batch: max(1, min(limit, pageMessages)), MaxBytes: pageBytes})
	return page, left > 0, err
}

// Since returns the sequence of the first message stored at or after start, or
// [ErrNoMessage].
func (r *Reader) Since(ctx context.Context, filter string, start time.Time) (streams.Seq, error) {
	page, _, err := r.page(ctx, directGet{Start: &start, Next: filter, Batch: 1})
	if err != nil {
		return 0, err
	}
	if len(page) == 0 {
		return 0, ErrNoMessage
	}
	return page[0].Seq, nil
}

// Last returns the newest message on a literal subject, or [ErrNoMessage].
func (r *Reader) Last(ctx context.Context, subject string) (Message, error) {
	return r.one(ctx, directGet{Last: subject})
}

// At returns the message at a sequence, or [ErrNoMessage].
func (r *Reader) At(ctx context.Context, seq streams.Seq) (Message, error) {
	return r.one(ctx, directGet{Seq: uint64(seq)})
}

func (r *Reader) one(ctx context.Context, get directGet) (Message, error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	body, err := json.Marshal(get)
	if err != nil {
		return Message{}, err
	}
	msg, err := r.transport.Request(ctx, r.request, body)
	if err != nil {
		return Message{}, fmt.Errorf("read %s: %w", r.stream, err)
	}
	m, _, err := r.parse(msg)
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

// page returns up to get.Batch messages and how many match behind them.
func (r *Reader) page(ctx context.Context, get directGet) (page []Message, left uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	body, err := json.Marshal(get)
	if err != nil {
		return nil, 0, err
	}
	var failed error
	err = r.transport.RequestMany(ctx, r.request, body, func(msg *nats.Msg) bool {
		m, end, err := r.parse(msg)
		switch {
		case errors.Is(err, ErrNoMessage):
			return false
		case err != nil:
			failed = err
			return false
		case end:
			left, _ = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
			return false
		}
		page = append(page, m)
		return true
	})
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read %s: %w", r.stream, err)
	case failed != nil:
		return nil, 0, failed
	}
	return page, left, nil
}

// parse reads one answer of a direct get; end is the mark after a page.
func (r *Reader) parse(msg *nats.Msg) (m Message, end bool, err error) {
	if status := msg.Header.Get("Status"); status != "" {
		switch status {
		case "204":
			return Message{}, true, nil
		case "404":
			return Message{}, false, ErrNoMessage
		}
		return Message{}, false, fmt.Errorf("read %s: status %s %s", r.stream, status, msg.Header.Get("Description"))
	}
	seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return Message{}, false, fmt.Errorf("read %s: answer without a sequence", r.stream)
	}
	stored, err := time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return Message{}, false, fmt.Errorf("read %s at %d: %w", r.stream, seq, err)
	}
	return Message{
		Subject: msg.Header.Get("Nats-Subject"),
		Seq:     streams.Seq(seq),
		Time:    stored,
		Data:    msg.Data,
	}, false, nil
}
