package command_test

import (
	"context"
	"testing"
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/streamtest"
)

// It proves that an edit bears the end of the message it is about, whether the
// owner remembers the message or has to look for it in the log, so that readers
// who have the edit alone know when its words are gone.
func TestEditsEndWithTheirMessage(t *testing.T) {
	n := streamtest.Provisioned(t, 1)
	stop := serve(t, n, nil)
	newGroup(t, n.Conn)
	c := send(newID(), "for an hour")
	c.GetSend().TtlMs = 3_600_000
	edit := func() {
		t.Helper()
		r := do(t, n.Conn, &streampb.Command{Group: "g", User: c.GetUser(), ClientId: newID().Bytes(), Body: &streampb.Command_Edit{
			Edit: &streampb.Edit{Channel: c.GetSend().GetChannel(), N: 1, Body: []byte("better")},
		}})
		if r.GetRejection() != nil {
			t.Fatal(r.GetRejection())
		}
	}
	if r := do(t, n.Conn, c); r.GetRejection() != nil {
		t.Fatal(r.GetRejection())
	}
	edit()
	stop()
	serve(t, n, nil) // another, which remembers nothing
	edit()

	var ends []int64
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := eventlog.NewReader(n.Conn, streams.LogStream(0)).Scan(ctx, streams.LogFilter(0), 1, 0, func(m eventlog.Message) error {
		if at, _ := streams.ParseLog(m.Subject); at.Group == "" {
			return nil
		}
		e, err := streams.UnmarshalEvent(m.Data, m.Seq)
		if err != nil {
			return err
		}
		switch p := e.Payload.(type) {
		case streams.MessagePosted:
			ends = append(ends, p.GetExpires())
		case streams.MessageEdited:
			ends = append(ends, p.GetExpires())
		}
		return nil
	})
	if err != nil || len(ends) != 3 || ends[0] == 0 || ends[1] != ends[0] || ends[2] != ends[0] {
		t.Errorf("the message and its edits end at %v, %v", ends, err)
	}
}
