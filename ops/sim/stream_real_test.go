package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
)

// TestSimulatedStreamIsLikeTheServer does the same to both streams, simulated
// and real, and compares what they answer. Without it the simulation would
// prove things of a server that does not exist.
func TestSimulatedStreamIsLikeTheServer(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	transport := eventlog.OverNATS(n.Conn)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []*stream{
		newStream(streams.LogStream(0), "throng.log.0.", false),
		newStream(streams.StateStream(0), "throng.state.0.", true),
	} {
		subjects := []string{s.prefix + "@fence", s.prefix + "g.a", s.prefix + "g.b", s.prefix + "h.a"}
		real := func(msg *nats.Msg) string {
			if msg.Header.Get("Nats-Batch-Id") != "" && msg.Header.Get("Nats-Batch-Commit") == "" {
				if err := n.Conn.PublishMsg(msg); err != nil {
					t.Fatal(err)
				}
				return ""
			}
			answer, err := n.Conn.RequestMsgWithContext(ctx, msg)
			if err != nil {
				t.Fatal(err)
			}
			return outcome(t, answer.Data)
		}
		simulated := func(msg *nats.Msg) string {
			ack := s.publish(msg, time.Now())
			if ack == nil {
				return ""
			}
			return outcome(t, ack.encode())
		}
		for round := range 400 {
			for _, msg := range appends(rng, s, subjects, round) {
				if got, want := simulated(msg), real(msg); got != want {
					t.Fatalf("%s round %d: %v: simulated %s, real %s", s.name, round, msg.Header, got, want)
				}
			}
			if rng.IntN(12) == 0 {
				purgeBoth(t, ctx, transport, rng, s, subjects)
			}
			if round%8 == 0 { // it costs the server much
				list := fmt.Appendf(nil, `{"subjects_filter":%q}`, append(subjects, s.prefix+">", s.prefix+"g.*")[rng.IntN(6)])
				if msg, err := n.Conn.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+s.name, list); err != nil {
					t.Fatal(err)
				} else if got, want := listed(t, s.admin("INFO", list)), listed(t, msg.Data); got != want {
					t.Fatalf("%s round %d: %s: simulated %s, real %s", s.name, round, list, got, want)
				}
			}
			get := question(rng, s, subjects)
			got := seen(s.get(get, s.first, s.last()))
			var answers []*nats.Msg
			err := transport.RequestMany(ctx, "$JS.API.DIRECT.GET."+s.name, get, func(m *nats.Msg) bool {
				answers = append(answers, m)
				return m.Header.Get("Status") == "" && (strings.Contains(string(get), "batch") || strings.Contains(string(get), "multi_last"))
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := seen(answers); got != want {
				t.Fatalf("%s round %d: %s: simulated %s, real %s", s.name, round, get, got, want)
			}
		}
	}
}

// purgeBoth removes the head of the log, or a subject's record, in both, and
// compares what they say of themselves.
func purgeBoth(t *testing.T, ctx context.Context, transport eventlog.Transport, rng *rand.Rand, s *stream, subjects []string) {
	t.Helper()
	body := fmt.Appendf(nil, `{"seq":%d}`, int(s.first)+rng.IntN(int(s.last()-s.first)+2))
	if s.lastOnly {
		body = fmt.Appendf(nil, `{"filter":%q}`, subjects[rng.IntN(4)])
	}
	msg, err := transport.Request(ctx, "$JS.API.STREAM.PURGE."+s.name, body)
	if err != nil {
		t.Fatal(err)
	}
	s.admin("PURGE", body)
	if !strings.Contains(string(msg.Data), `"success":true`) {
		t.Fatalf("%s: purge %s: %s", s.name, body, msg.Data)
	}
	if s.lastOnly {
		return // nobody asks where the records begin
	}
	real, err := eventlog.NewStream(transport, s.name).State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if real.First != s.first || real.Last != s.last() {
		t.Fatalf("%s after %s: simulated %d to %d, real %d to %d", s.name, body, s.first, s.last(), real.First, real.Last)
	}
}

// appends makes a fence, a single append or a batch, whose expectations are
// often right.
func appends(rng *rand.Rand, s *stream, subjects []string, round int) []*nats.Msg {
	header := nats.Header{}
	if rng.IntN(4) > 0 {
		header.Set("Nats-Expected-Last-Sequence", fmt.Sprint(int(s.last())-rng.IntN(5)/4))
	}
	if fence := s.lastOf[subjects[0]]; fence > 0 && rng.IntN(2) == 0 {
		header.Set("Nats-Expected-Last-Subject-Sequence", fmt.Sprint(int(fence)-rng.IntN(5)/4))
		header.Set("Nats-Expected-Last-Subject-Sequence-Subject", subjects[0])
	}
	subject := func() string { return subjects[1+rng.IntN(3)] }
	switch rng.IntN(5) {
	case 0:
		return []*nats.Msg{{Subject: subjects[0], Data: []byte("fence")}}
	case 1, 2:
		return []*nats.Msg{{Subject: subject(), Data: fmt.Append(nil, round), Header: header}}
	}
	count, lost := 1+rng.IntN(5), -1
	if rng.IntN(5) == 0 {
		lost = rng.IntN(count) // on its way
	}
	var batch []*nats.Msg
	for k := range count {
		h := nats.Header{}
		if k == 0 {
			h = header
		}
		h.Set("Nats-Batch-Id", fmt.Sprint(s.name, round))
		h.Set("Nats-Batch-Sequence", fmt.Sprint(k+1))
		if k == count-1 {
			h.Set("Nats-Batch-Commit", "1")
		}
		if k != lost {
			batch = append(batch, &nats.Msg{Subject: subject(), Data: fmt.Append(nil, round, k), Header: h})
		}
	}
	return batch
}

func question(rng *rand.Rand, s *stream, subjects []string) []byte {
	filter := append(subjects, s.prefix+">", s.prefix+"g.>")[rng.IntN(6)]
	ask := map[string]any{"seq": 1 + rng.IntN(int(s.last())+3), "next_by_subj": filter}
	switch rng.IntN(5) {
	case 3:
		ask = map[string]any{"multi_last": []string{subjects[rng.IntN(4)], s.prefix + []string{"g.*", "h.a", "h.none"}[rng.IntN(3)]}}
	case 0:
		ask = map[string]any{"last_by_subj": subjects[rng.IntN(4)]}
	case 1:
		delete(ask, "next_by_subj")
	case 2:
		ask["batch"] = 1 + rng.IntN(6)
	}
	data, err := json.Marshal(ask)
	if err != nil {
		panic(err)
	}
	return data
}

// outcome is what the project reads of an acknowledgement.
func outcome(t *testing.T, data []byte) string {
	t.Helper()
	a := ack{}
	if err := json.Unmarshal(data, &a); err != nil {
		t.Fatal(err)
	}
	if a.Error != nil {
		return fmt.Sprintf("refused %d", a.Error.ErrCode)
	}
	return fmt.Sprintf("stored at %d", a.Seq)
}

// listed is what the project reads of a list of subjects.
func listed(t *testing.T, data []byte) string {
	t.Helper()
	var list struct {
		Total int `json:"total"`
		State struct {
			LastSeq  uint64            `json:"last_seq"`
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(list)
}

// seen is what the project reads of a direct get's answers.
func seen(answers []*nats.Msg) string {
	var all strings.Builder
	for _, m := range answers {
		for _, header := range []string{"Status", "Nats-Sequence", "Nats-Subject", "Nats-Num-Pending", "Nats-UpTo-Sequence"} {
			if header != "Nats-Num-Pending" || m.Header.Get("Status") == "204" {
				all.WriteString(m.Header.Get(header) + " ")
			}
		}
		fmt.Fprintf(&all, "%q; ", m.Data)
	}
	return all.String()
}
