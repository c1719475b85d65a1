package sequencer

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

// simStream is what the project uses of a JetStream stream: sequences, the two
// expectations, atomic batches, one message a subject, direct gets of any
// replica's age, purges. TestSimulatedStreamIsLikeTheServer compares it with
// the real one.
type simStream struct {
	name       string
	prefix     string // of its subjects
	lastOnly   bool   // keeps one message a subject
	unfenced   bool   // believes nothing that is expected of it; a negative control
	first      streams.Seq
	messages   []simMessage // all that were ever stored; the index is the sequence - 1
	lastOf     map[string]streams.Seq
	batches    map[string]*simBatch
	stored     func(simMessage)
	pageAtMost func(int) int // how many messages the server cares to answer with
}

type simMessage struct {
	subject string
	seq     streams.Seq
	at      time.Time
	data    []byte
}

type simBatch struct {
	messages []*nats.Msg
	broken   bool
}

func newSimStream(name, prefix string, lastOnly bool) *simStream {
	return &simStream{
		name: name, prefix: prefix, lastOnly: lastOnly, first: 1,
		lastOf: map[string]streams.Seq{}, batches: map[string]*simBatch{},
		stored: func(simMessage) {}, pageAtMost: func(n int) int { return n },
	}
}

func (s *simStream) last() streams.Seq { return streams.Seq(len(s.messages)) }

// simAck is JetStream's acknowledgement.
type simAck struct {
	Stream string       `json:"stream"`
	Seq    uint64       `json:"seq"`
	Error  *simAckError `json:"error,omitempty"`
}

type simAckError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (a *simAck) encode() []byte {
	data, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return data
}

func refusal(code int, format string, args ...any) *simAck {
	return &simAck{Error: &simAckError{Code: 400, ErrCode: code, Description: fmt.Sprintf(format, args...)}}
}

// publish takes a message; nil where JetStream does not answer.
func (s *simStream) publish(msg *nats.Msg, now time.Time) *simAck {
	id := msg.Header.Get("Nats-Batch-Id")
	if id == "" {
		if refused := s.expect(msg.Header); refused != nil {
			return refused
		}
		return &simAck{Stream: s.name, Seq: uint64(s.store(msg, now))}
	}
	at, err := strconv.Atoi(msg.Header.Get("Nats-Batch-Sequence"))
	b := s.batches[id]
	if b == nil {
		b = &simBatch{broken: err != nil || at != 1}
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
	return &simAck{Stream: s.name, Seq: uint64(last)}
}

// expect checks what the headers expect of the stream.
func (s *simStream) expect(header nats.Header) *simAck {
	if s.unfenced {
		return nil
	}
	if want := header.Get("Nats-Expected-Last-Sequence"); want != "" && want != strconv.Itoa(len(s.messages)) {
		return refusal(10071, "wrong last sequence: %d", len(s.messages))
	}
	if want := header.Get("Nats-Expected-Last-Subject-Sequence"); want != "" {
		have := s.lastOf[header.Get("Nats-Expected-Last-Subject-Sequence-Subject")]
		if want != strconv.FormatUint(uint64(have), 10) {
			return refusal(10071, "wrong last sequence: %d", have)
		}
	}
	return nil
}

func (s *simStream) store(msg *nats.Msg, now time.Time) streams.Seq {
	m := simMessage{subject: msg.Subject, seq: s.last() + 1, at: now, data: msg.Data}
	s.messages = append(s.messages, m)
	s.lastOf[msg.Subject] = m.seq
	s.stored(m)
	return m.seq
}

// visible is what a replica holds that has come to head.
func (s *simStream) visible(head streams.Seq) []simMessage {
	if !s.lastOnly {
		return s.messages[min(s.first-1, head):head]
	}
	seen, count := map[string]bool{}, 0
	newest := make([]simMessage, head)
	for i := int(head) - 1; i >= 0; i-- {
		if m := s.messages[i]; !seen[m.subject] {
			seen[m.subject] = true
			count++
			newest[int(head)-count] = m
		}
	}
	return newest[int(head)-count:]
}

// simGet is JetStream's request for a direct get.
type simGet struct {
	Seq   uint64     `json:"seq"`
	Start *time.Time `json:"start_time"`
	Next  string     `json:"next_by_subj"`
	Last  string     `json:"last_by_subj"`
	Multi []string   `json:"multi_last"`
	Batch int        `json:"batch"`
}

// get answers a direct get as a replica that has come to head.
func (s *simStream) get(body []byte, head streams.Seq) []*nats.Msg {
	get := simGet{}
	if err := json.Unmarshal(body, &get); err != nil {
		panic(err)
	}
	if get.Multi != nil {
		return s.getNewest(get.Multi, head)
	}
	var found []simMessage
	for _, m := range s.visible(head) {
		switch {
		case get.Last != "":
			if m.subject == get.Last {
				found = []simMessage{m}
			}
			continue
		case get.Start != nil && m.at.Before(*get.Start), uint64(m.seq) < get.Seq:
			continue
		case get.Next == "" && uint64(m.seq) != get.Seq:
			continue
		case get.Next != "" && !simMatches(get.Next, m.subject):
			continue
		}
		found = append(found, m)
	}
	if len(found) == 0 {
		return []*nats.Msg{{Header: nats.Header{"Status": []string{"404"}, "Description": []string{"Message Not Found"}}}}
	}
	if get.Batch == 0 {
		return []*nats.Msg{found[0].answer()}
	}
	count := min(len(found), max(1, s.pageAtMost(get.Batch)))
	answers := make([]*nats.Msg, count, count+1)
	for i := range answers {
		answers[i] = found[i].answer()
	}
	return append(answers, &nats.Msg{Header: nats.Header{
		"Status": []string{"204"}, "Description": []string{"EOB"},
		"Nats-Num-Pending": []string{strconv.Itoa(len(found) - count)},
	}})
}

// info answers the question for the subjects that match a filter, as a leader.
func (s *simStream) info(body []byte) []byte {
	var get struct {
		Filter string `json:"subjects_filter"`
	}
	if err := json.Unmarshal(body, &get); err != nil {
		panic(err)
	}
	subjects := map[string]uint64{}
	for _, m := range s.visible(s.last()) {
		if simMatches(get.Filter, m.subject) {
			subjects[m.subject]++
		}
	}
	answer := map[string]any{
		"total": len(subjects),
		"state": map[string]any{"last_seq": s.last(), "subjects": subjects},
	}
	data, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return data
}

// getNewest answers for the newest message of each subject.
func (s *simStream) getNewest(subjects []string, head streams.Seq) []*nats.Msg {
	newest := map[string]bool{}
	var answers []*nats.Msg
	visible := s.visible(head)
	for i := len(visible) - 1; i >= 0; i-- {
		m := visible[i]
		if !newest[m.subject] && slices.ContainsFunc(subjects, func(f string) bool { return simMatches(f, m.subject) }) {
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

func (m simMessage) answer() *nats.Msg {
	return &nats.Msg{Data: m.data, Header: nats.Header{
		"Nats-Subject":    []string{m.subject},
		"Nats-Sequence":   []string{strconv.FormatUint(uint64(m.seq), 10)},
		"Nats-Time-Stamp": []string{m.at.UTC().Format(time.RFC3339Nano)},
	}}
}

// simMatches knows the filters the project uses: literals, and those that end
// with a wildcard.
func simMatches(filter, subject string) bool {
	if prefix, ok := strings.CutSuffix(filter, "*"); ok {
		rest, ok := strings.CutPrefix(subject, prefix)
		return ok && rest != "" && !strings.Contains(rest, ".")
	}
	if prefix, ok := strings.CutSuffix(filter, ">"); ok {
		return strings.HasPrefix(subject, prefix) && len(subject) > len(prefix)
	}
	return filter == subject
}
