package eventlog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streamtest"
)

// faulty spoils what a consumer answers.
type faulty struct {
	eventlog.Transport
	refuse bool // consumers can't be made
	lose   int  // this message of all that are pulled; 0: none
	cut    int  // the pull ends before this one with an error; 0: none

	made, pulled int
}

var errCut = errors.New("cut")

func (f *faulty) Request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	if strings.Contains(subject, "CONSUMER.CREATE") {
		if f.made++; f.refuse {
			return &nats.Msg{Data: []byte(`{"error":{"code":503,"err_code":10008,"description":"no leader"}}`)}, nil
		}
	}
	return f.Transport.Request(ctx, subject, body)
}

func (f *faulty) RequestMany(ctx context.Context, subject string, body []byte, visit func(*nats.Msg) bool) error {
	if !strings.Contains(subject, "CONSUMER.MSG.NEXT") {
		return f.Transport.RequestMany(ctx, subject, body, visit)
	}
	cut := false
	err := f.Transport.RequestMany(ctx, subject, body, func(msg *nats.Msg) bool {
		switch f.pulled++; f.pulled {
		case f.lose:
			return true
		case f.cut:
			cut = true
			return false
		}
		return visit(msg)
	})
	if cut {
		return errCut
	}
	return err
}

func TestReplayIsAScan(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	const count, worth = 7000, 2000
	term := fence(t, eventlog.NewWriter(eventlog.WriterConfig{
		Conn: n.Conn, Stream: streams.LogStream(0), Fence: streams.FenceSubject(0),
	}))
	for i := 0; i < count; {
		for ; i < count && term.Unsettled() < eventlog.MaxInFlight; i++ {
			channel := streams.Channel("c")
			if i%1500 == 700 {
				channel = "holes"
			}
			term.Append(eventlog.Record{Subject: streams.LogSubject(0, "g", channel), Data: []byte{byte(i), byte(i >> 8)}})
		}
		for _, ack := range term.Settle(<-term.Replies()) {
			if ack.Err != nil {
				t.Fatal(ack.Err)
			}
		}
	}
	settle(t, term)
	stream, err := n.JS.Stream(t.Context(), streams.LogStream(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject(streams.LogSubject(0, "g", "holes"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []eventlog.Message
	err = eventlog.NewReader(n.Conn, streams.LogStream(0)).Scan(ctx, streams.LogFilter(0), 1, 0, func(m eventlog.Message) error {
		all = append(all, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != count+1-5 {
		t.Fatalf("the log has %d messages", len(all))
	}
	replay := func(t *testing.T, f *faulty, from, upto streams.Seq, visit func(eventlog.Message) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		f.Transport = eventlog.OverNATS(n.Conn)
		return eventlog.NewReaderOver(f, streams.LogStream(0)).WithReplayWorth(worth).Replay(ctx, from, upto, visit)
	}
	last := all[len(all)-1].Seq
	for name, test := range map[string]struct {
		from, upto streams.Seq
		f          faulty
		consumers  int
	}{
		"everything":                              {from: 1, consumers: 1},
		"up to the last":                          {from: 1, upto: last, consumers: 1},
		"up to the middle of what is pulled":      {from: 2, upto: 6000, consumers: 1},
		"little, without a consumer":              {from: 5500, upto: last},
		"nothing":                                 {from: last + 1},
		"where no consumer can be made":           {from: 1, f: faulty{refuse: true}, consumers: 1},
		"where a message does not come":           {from: 1, f: faulty{lose: 3000}, consumers: 1},
		"where the first message does not come":   {from: 1, f: faulty{lose: 1}, consumers: 1},
		"where the consumer's answers break off":  {from: 1, f: faulty{cut: 5432}, consumers: 1},
		"where the end of a page does not arrive": {from: 1, f: faulty{lose: 5000}, consumers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			at := slices.IndexFunc(all, func(m eventlog.Message) bool { return m.Seq >= test.from })
			var want []eventlog.Message
			for i := at; i >= 0 && i < len(all) && (test.upto == 0 || all[i].Seq <= test.upto); i++ {
				want = append(want, all[i])
			}
			var got []eventlog.Message
			err := replay(t, &test.f, test.from, test.upto, func(m eventlog.Message) error {
				got = append(got, m)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			same := func(a, b eventlog.Message) bool {
				return a.Seq == b.Seq && a.Subject == b.Subject && a.Time.Equal(b.Time) && string(a.Data) == string(b.Data)
			}
			if !slices.EqualFunc(got, want, same) {
				t.Errorf("got %d messages, want %d, or other ones", len(got), len(want))
			}
			if test.f.made != test.consumers {
				t.Errorf("%d consumers were made, want %d", test.f.made, test.consumers)
			}
		})
	}
	t.Run("the visitor's error ends it", func(t *testing.T) {
		refused := errors.New("refused")
		visited := 0
		err := replay(t, &faulty{}, 1, 0, func(eventlog.Message) error {
			if visited++; visited == 3000 {
				return refused
			}
			return nil
		})
		if !errors.Is(err, refused) || visited != 3000 {
			t.Errorf("got %v after %d messages", err, visited)
		}
	})
	streamtest.Eventually(t, patience, "no consumer is left", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Consumers == 0
	})
}
