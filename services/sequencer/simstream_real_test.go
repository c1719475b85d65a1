package sequencer

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
	for _, s := range []*simStream{
		newSimStream(streams.LogStream(0), "throng.log.0.", false),
		newSimStream(streams.StateStream(0), "throng.state.0.", true),
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
			return simOutcome(t, answer.Data)
		}
		simulated := func(msg *nats.Msg) string {
			ack := s.publish(msg, time.Now())
			if ack == nil {
				return ""
			}
			return simOutcome(t, ack.encode())
		}
		for round := range 400 {
			for _, msg := range simAppends(rng, s, subjects, round) {
				if got, want := simulated(msg), real(msg); got != want {
					t.Fatalf("%s round %d: %v: simulated %s, real %s", s.name, round, msg.Header, got, want)
				}
			}
			list := fmt.Appendf(nil, `{"subjects_filter":%q}`, append(subjects, s.prefix+">", s.prefix+"g.*")[rng.IntN(6)])
			if msg, err := n.Conn.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+s.name, list); err != nil {
				t.Fatal(err)
			} else if got, want := simListed(t, s.info(list)), simListed(t, msg.Data); got != want {
				t.Fatalf("%s round %d: %s: simulated %s, real %s", s.name, round, list, got, want)
			}
			get := simAsk(rng, s, subjects)
			got := simSeen(s.get(get, s.last()))
			var answers []*nats.Msg
			err := transport.RequestMany(ctx, "$JS.API.DIRECT.GET."+s.name, get, func(m *nats.Msg) bool {
				answers = append(answers, m)
				return m.Header.Get("Status") == "" && (strings.Contains(string(get), "batch") || strings.Contains(string(get), "multi_last"))
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := simSeen(answers); got != want {
				t.Fatalf("%s round %d: %s: simulated %s, real %s", s.name, round, get, got, want)
			}
		}
	}
}

// simAppends makes a fence, a single append or a batch, whose expectations are
// often right.
func simAppends(rng *rand.Rand, s *simStream, subjects []string, round int) []*nats.Msg {
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

func simAsk(rng *rand.Rand, s *simStream, subjects []string) []byte {
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

// simOutcome is what the project reads of an acknowledgement.
func simOutcome(t *testing.T, data []byte) string {
	t.Helper()
	ack := simAck{}
	if err := json.Unmarshal(data, &ack); err != nil {
		t.Fatal(err)
	}
	if ack.Error != nil {
		return fmt.Sprintf("refused %d", ack.Error.ErrCode)
	}
	return fmt.Sprintf("stored at %d", ack.Seq)
}

// simListed is what the project reads of a list of subjects.
func simListed(t *testing.T, data []byte) string {
	t.Helper()
	var listed struct {
		Total int `json:"total"`
		State struct {
			LastSeq  uint64            `json:"last_seq"`
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
	}
	if err := json.Unmarshal(data, &listed); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(listed)
}

// simSeen is what the project reads of a direct get's answers.
func simSeen(answers []*nats.Msg) string {
	var seen strings.Builder
	for _, m := range answers {
		for _, header := range []string{"Status", "Nats-Sequence", "Nats-Subject", "Nats-Num-Pending", "Nats-UpTo-Sequence"} {
			if header != "Nats-Num-Pending" || m.Header.Get("Status") == "204" {
				seen.WriteString(m.Header.Get(header) + " ")
			}
		}
		fmt.Fprintf(&seen, "%q; ", m.Data)
	}
	return seen.String()
}
