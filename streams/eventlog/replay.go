package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
)

const (
	// replayWorth is from how many messages on a replay reads with a consumer:
	// making one takes as long as reading some thousand.
	replayWorth = 20_000
	// pullMessages and pullBytes bound what one request to a consumer brings.
	pullMessages = 5000
	pullBytes    = 8 << 20 // bytes
	// consumerIdle is when the server drops a consumer whose reader is gone.
	consumerIdle = 30 * time.Second
)

// Replay calls visit for each message of the stream with from <= sequence <=
// upto, in order, as [Reader.Scan] does, and is made for millions of them. visit
// may be called by another goroutine than the caller's, one call after the other;
// none lasts longer than Replay.
//
// For a message with headers, and each append has some, a direct get costs the
// server three to five times what a consumer does, so a long replay goes
// through a consumer without acknowledgements. That is only a faster way: where
// it can't be made, breaks off or leaves one out, direct gets go on from there.
func (r *Reader) Replay(ctx context.Context, from, upto streams.Seq, visit func(Message) error) error {
	const everything = ">" // a narrower filter has the server count what matches, for each page
	from, long := max(from, 1), true
	for upto == 0 || from <= upto {
		page, left, err := r.page(ctx, directGet{Seq: uint64(from), Next: everything, Batch: pageMessages, MaxBytes: pageBytes})
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
		if long && left >= r.worth && (upto == 0 || uint64(upto)+1-uint64(from) >= r.worth) {
			long = false // once: what broke off is likely to again
			p := &pull{reader: r, from: from, upto: upto, ahead: readAhead(visit)}
			p.run(ctx)
			if err := p.ahead.finish(); err != nil {
				return err
			}
			from = p.from
		}
	}
	return nil
}

// pull reads through a consumer. It ends at upto, at the stream's end or when
// anything is amiss; from then says where to go on.
type pull struct {
	reader *Reader
	from   streams.Seq
	upto   streams.Seq
	ahead  *ahead

	consumer uint64 // number of the last message the consumer delivered
	amiss    bool
	refused  bool // a message, by who visits it
}

// consumerConfig and the rest are JetStream's, as far as they are used.
type consumerConfig struct {
	DeliverPolicy     string        `json:"deliver_policy"`
	StartSeq          uint64        `json:"opt_start_seq"`
	AckPolicy         string        `json:"ack_policy"`
	ReplayPolicy      string        `json:"replay_policy"`
	Replicas          int           `json:"num_replicas"`
	Memory            bool          `json:"mem_storage"`
	InactiveThreshold time.Duration `json:"inactive_threshold"`
}

type createConsumer struct {
	Stream string         `json:"stream_name"`
	Config consumerConfig `json:"config"`
}

type createdConsumer struct {
	Name  string    `json:"name"`
	Error *apiError `json:"error"`
}

type pullRequest struct {
	Batch    int  `json:"batch"`
	MaxBytes int  `json:"max_bytes"`
	NoWait   bool `json:"no_wait"`
}

func (p *pull) run(ctx context.Context) {
	name, err := p.create(ctx)
	if err != nil {
		return
	}
	defer func() { // else it expires
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = p.reader.transport.Request(ctx, "$JS.API.CONSUMER.DELETE."+p.reader.stream+"."+name, nil)
	}()
	request, err := json.Marshal(pullRequest{Batch: pullMessages, MaxBytes: pullBytes, NoWait: true})
	if err != nil {
		return
	}
	for begun := streams.Seq(0); begun != p.from && !p.done(); {
		begun = p.from
		if p.next(ctx, name, request) != nil {
			return
		}
	}
}

func (p *pull) done() bool {
	return p.amiss || p.refused || p.upto != 0 && p.from > p.upto
}

func (p *pull) create(ctx context.Context) (name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	body, err := json.Marshal(createConsumer{Stream: p.reader.stream, Config: consumerConfig{
		DeliverPolicy: "by_start_sequence", StartSeq: uint64(p.from), AckPolicy: "none", ReplayPolicy: "instant",
		Replicas: 1, Memory: true, InactiveThreshold: consumerIdle,
	}})
	if err != nil {
		return "", err
	}
	msg, err := p.reader.transport.Request(ctx, "$JS.API.CONSUMER.CREATE."+p.reader.stream, body)
	if err != nil {
		return "", err
	}
	var made createdConsumer
	if err := json.Unmarshal(msg.Data, &made); err != nil {
		return "", err
	}
	if made.Error != nil {
		return "", made.Error.asError()
	}
	if made.Name == "" {
		return "", fmt.Errorf("read %s: a consumer without a name", p.reader.stream)
	}
	return made.Name, nil
}

// next brings what one request does.
func (p *pull) next(ctx context.Context, name string, request []byte) error {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	count := 0
	subject := "$JS.API.CONSUMER.MSG.NEXT." + p.reader.stream + "." + name
	return p.reader.transport.RequestMany(ctx, subject, request, func(msg *nats.Msg) bool {
		count++
		return p.take(msg) && count < pullMessages
	})
}

// take visits a message; false ends the request.
func (p *pull) take(msg *nats.Msg) bool {
	if msg.Header.Get("Status") != "" {
		return false // the end of what is there or fits, or of the consumer
	}
	meta, err := msg.Metadata()
	if err != nil || meta.Sequence.Consumer != p.consumer+1 {
		p.amiss = true
		return false
	}
	p.consumer++
	m := Message{Subject: msg.Subject, Seq: streams.Seq(meta.Sequence.Stream), Time: meta.Timestamp, Data: msg.Data}
	if p.upto != 0 && m.Seq > p.upto {
		p.from = p.upto + 1
		return false
	}
	if p.refused = !p.ahead.add(m); p.refused {
		return false
	}
	p.from = m.Seq + 1
	return !p.done()
}
