package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
)

// stream is what the project uses of a JetStream stream: sequences, the two
// expectations, atomic batches, one message a subject, direct gets of any
// replica's age, purges. TestSimulatedStreamIsLikeTheServer compares it with
// the real one.
type stream struct {
	name        string
	prefix      string // of its subjects
	lastOnly    bool   // keeps one message a subject
	unfenced    bool   // believes nothing that is expected of it; a negative control
	first       streams.Seq
	formerFirst streams.Seq // before the newest purge: a replica that lags
	messages    []message   // all that were ever stored; the index is the sequence - 1
	lastOf      map[string]streams.Seq
	batches     map[string]*batch
	stored      func(message)
	purged      func(before streams.Seq) // tells of a purge before it is done
	pageAtMost  func(int) int            // how many messages the server cares to answer with
}

type message struct {
	subject string
	seq     streams.Seq
	at      time.Time
	data    []byte
	gone    streams.Seq // at which it was replaced or removed, 0 if it was not
}

type batch struct {
	messages []*nats.Msg
	broken   bool
}

func newStream(name, prefix string, lastOnly bool) *stream {
	return &stream{
		name: name, prefix: prefix, lastOnly: lastOnly, first: 1, formerFirst: 1,
		lastOf: map[string]streams.Seq{}, batches: map[string]*batch{},
		stored: func(message) {}, purged: func(streams.Seq) {}, pageAtMost: func(n int) int { return n },
	}
}

func (s *stream) last() streams.Seq { return streams.Seq(len(s.messages)) }

// ack is JetStream's acknowledgement.
type ack struct {
	Stream string    `json:"stream"`
	Seq    uint64    `json:"seq"`
	Error  *ackError `json:"error,omitempty"`
}

type ackError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (a *ack) encode() []byte {
	data, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return data
}

func refusal(code int, format string, args ...any) *ack {
	return &ack{Error: &ackError{Code: 400, ErrCode: code, Description: fmt.Sprintf(format, args...)}}
}

// publish takes a message; nil where JetStream does not answer.
func (s *stream) publish(msg *nats.Msg, now time.Time) *ack {
	id := msg.Header.Get("Nats-Batch-Id")
	if id == "" {
		if refused := s.expect(msg.Header); refused != nil {
			return refused
		}
		return &ack{Stream: s.name, Seq: uint64(s.store(msg, now))}
	}
	at, err := strconv.Atoi(msg.Header.Get("Nats-Batch-Sequence"))
	b := s.batches[id]
	if b == nil {
		b = &batch{broken: err != nil || at != 1}
		s.batches[id] = b
	}
	b.broken = b.broken || at != len(b.messages)+1
	b.messages = append(b.messages, msg)
	if msg.Header.Get("Nats-Batch-Commit") == "" {
		return nil
	}
	delete(s.batches, id)
	if b.broken {
		return refusal(10176, "batch publish is incomplete and was abandoned")
	}
	if refused := s.expect(b.messages[0].Header); refused != nil {
		return refused
	}
	last := streams.Seq(0)
	for _, m := range b.messages {
		last = s.store(m, now)
	}
	return &ack{Stream: s.name, Seq: uint64(last)}
}

// expect checks what the headers expect of the stream.
func (s *stream) expect(header nats.Header) *ack {
	if s.unfenced {
		return nil
	}
	if want := header.Get("Nats-Expected-Last-Sequence"); want != "" && want != strconv.Itoa(len(s.messages)) {
		return refusal(10071, "wrong last sequence: %d", len(s.messages))
	}
	if want := header.Get("Nats-Expected-Last-Subject-Sequence"); want != "" {
		have := s.lastOf[header.Get("Nats-Expected-Last-Subject-Sequence-Subject")]
		if have < s.first {
			have = 0 // it was purged
		}
		if want != strconv.FormatUint(uint64(have), 10) {
			return refusal(10071, "wrong last sequence: %d", have)
		}
	}
	return nil
}

func (s *stream) store(msg *nats.Msg, now time.Time) streams.Seq {
	m := message{subject: msg.Subject, seq: s.last() + 1, at: now, data: msg.Data}
	if last := s.lastOf[msg.Subject]; s.lastOnly && last > 0 {
		s.messages[last-1].gone = m.seq
	}
	s.messages = append(s.messages, m)
	s.lastOf[msg.Subject] = m.seq
	s.stored(m)
	return m.seq
}

// holds reports whether a replica that has come to head and was purged up to
// first has a message.
func (m *message) in(first, head streams.Seq) bool {
	return m.seq >= first && m.seq <= head && (m.gone == 0 || m.gone > head)
}

// directGet is JetStream's request for a direct get.
type directGet struct {
	Seq   uint64     `json:"seq"`
	Start *time.Time `json:"start_time"`
	Next  string     `json:"next_by_subj"`
	Last  string     `json:"last_by_subj"`
	Multi []string   `json:"multi_last"`
	Batch int        `json:"batch"`
}

// get answers a direct get as a replica that has come to head and was purged
// up to first.
func (s *stream) get(body []byte, first, head streams.Seq) []*nats.Msg {
	get := directGet{}
	if err := json.Unmarshal(body, &get); err != nil {
		panic(err)
	}
	if get.Multi != nil {
		return s.getNewest(get.Multi, first, head)
	}
	limit := 1
	if get.Batch > 0 {
		limit = max(1, s.pageAtMost(get.Batch))
	}
	from := max(streams.Seq(get.Seq), first, 1)
	if get.Next == "" && get.Last == "" && streams.Seq(get.Seq) < from {
		from = head + 1 // that very message is purged
	}
	var answers []*nats.Msg
	pending := 0
	for i := from - 1; i < head; i++ {
		m := &s.messages[i]
		switch {
		case !m.in(first, head):
		case get.Last != "":
			if m.subject == get.Last {
				answers = []*nats.Msg{m.answer()}
			}
		case get.Next == "" && uint64(m.seq) != get.Seq, get.Start != nil && m.at.Before(*get.Start):
		case get.Next != "" && !matches(get.Next, m.subject):
		case len(answers) == limit:
			pending++
		default:
			answers = append(answers, m.answer())
		}
	}
	if len(answers) == 0 {
		return []*nats.Msg{{Header: nats.Header{"Status": []string{"404"}, "Description": []string{"Message Not Found"}}}}
	}
	if get.Batch == 0 {
		return answers
	}
	return append(answers, &nats.Msg{Header: nats.Header{
		"Status": []string{"204"}, "Description": []string{"EOB"},
		"Nats-Num-Pending": []string{strconv.Itoa(pending)},
	}})
}

// getNewest answers for the newest message of each subject.
func (s *stream) getNewest(subjects []string, first, head streams.Seq) []*nats.Msg {
	newest := map[string]bool{}
	var answers []*nats.Msg
	for i := int(head) - 1; i >= 0; i-- {
		m := &s.messages[i]
		if m.in(first, head) && !newest[m.subject] && slices.ContainsFunc(subjects, func(f string) bool { return matches(f, m.subject) }) {
			newest[m.subject] = true
			answers = append(answers, m.answer())
		}
	}
	if len(answers) == 0 {
		return []*nats.Msg{{Header: nats.Header{"Status": []string{"404"}, "Description": []string{"No Results"}}}}
	}
	slices.Reverse(answers)
	return append(answers, &nats.Msg{Header: nats.Header{
		"Status": []string{"204"}, "Description": []string{"EOB"}, "Nats-Num-Pending": []string{"0"},
		"Nats-UpTo-Sequence": []string{strconv.FormatUint(uint64(head), 10)},
	}})
}

// info tells how far the stream goes and, as its leader, which subjects match a
// filter.
func (s *stream) info(body []byte) []byte {
	var ask struct {
		Filter string `json:"subjects_filter"`
	}
	if err := json.Unmarshal(body, &ask); len(body) > 0 && err != nil {
		panic(err)
	}
	state := map[string]any{"first_seq": s.first, "last_seq": s.last()}
	answer := map[string]any{"state": state}
	if ask.Filter != "" {
		subjects := map[string]uint64{}
		for i := range s.messages {
			if m := &s.messages[i]; m.in(s.first, s.last()) && matches(ask.Filter, m.subject) {
				subjects[m.subject]++
			}
		}
		state["subjects"], answer["total"] = subjects, len(subjects)
	}
	data, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return data
}

// admin looks at the stream or purges it.
func (s *stream) admin(verb string, body []byte) []byte {
	if verb == "INFO" {
		return s.info(body)
	}
	var purge struct {
		Seq    streams.Seq `json:"seq"`
		Filter string      `json:"filter"`
	}
	if err := json.Unmarshal(body, &purge); err != nil {
		panic(err)
	}
	if purge.Filter != "" {
		if last := s.lastOf[purge.Filter]; last > 0 && s.messages[last-1].gone == 0 && (purge.Seq == 0 || last < purge.Seq) {
			s.messages[last-1].gone = s.last()
			delete(s.lastOf, purge.Filter)
		}
		return []byte(`{"success":true}`)
	}
	if before := min(purge.Seq, s.last()+1); before > s.first {
		s.purged(before)
		s.formerFirst, s.first = s.first, before
	}
	return []byte(`{"success":true}`)
}

func (m *message) answer() *nats.Msg {
	return &nats.Msg{Data: m.data, Header: nats.Header{
		"Nats-Subject":    []string{m.subject},
		"Nats-Sequence":   []string{strconv.FormatUint(uint64(m.seq), 10)},
		"Nats-Time-Stamp": []string{m.at.UTC().Format(time.RFC3339Nano)},
	}}
}

// matches knows the filters the project uses: literals, and those that end
// with a wildcard.
func matches(filter, subject string) bool {
	if prefix, ok := strings.CutSuffix(filter, "*"); ok {
		rest, ok := strings.CutPrefix(subject, prefix)
		return ok && rest != "" && !strings.Contains(rest, ".")
	}
	if prefix, ok := strings.CutSuffix(filter, ">"); ok {
		return strings.HasPrefix(subject, prefix) && len(subject) > len(prefix)
	}
	return filter == subject
}
