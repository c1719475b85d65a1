package load

import (
	"encoding/json"
	"testing"
	"time"
)

// feed gives a reader the versions and says what it made of them.
func feed(versions ...uint64) *reader {
	rd := &reader{run: &run{started: time.Now()}, latency: newHistogram()}
	for _, v := range versions {
		rd.event(event{V: v, Kind: "message", Body: json.RawMessage(`"1000 xxx"`)})
	}
	return rd
}

func TestReadersNoticeWhatMustNotHappen(t *testing.T) {
	for name, test := range map[string]struct {
		versions                       []uint64
		delivered, doubled, outOfOrder int64
	}{
		"all in order":           {[]uint64{1, 2, 3}, 3, 0, 0},
		"the first is missing":   {[]uint64{2, 3}, 2, 0, 1},
		"one is missing":         {[]uint64{1, 3}, 2, 0, 1},
		"one comes twice":        {[]uint64{1, 2, 2, 3}, 3, 1, 0},
		"an old one comes again": {[]uint64{1, 2, 3, 1}, 3, 1, 0},
		"two change places":      {[]uint64{1, 3, 2}, 2, 1, 1},
	} {
		rd := feed(test.versions...)
		if rd.delivered.Load() != test.delivered || rd.doubled != test.doubled || rd.outOfOrder != test.outOfOrder {
			t.Errorf("%s: delivered %d, doubled %d, out of order %d, want %d, %d, %d", name,
				rd.delivered.Load(), rd.doubled, rd.outOfOrder, test.delivered, test.doubled, test.outOfOrder)
		}
	}
}

func TestGapsAreNoHoles(t *testing.T) {
	rd := feed(1, 2)
	rd.gap(gap{After: 2, Upto: 9})
	rd.event(event{V: 10})
	if rd.outOfOrder != 0 || rd.gaps != 7 {
		t.Errorf("out of order %d, in gaps %d, want 0 and 7", rd.outOfOrder, rd.gaps)
	}
}

func TestReportsAreOKOnlyWithoutAnyViolation(t *testing.T) {
	r := &run{acks: newHistogram(), readers: []*reader{feed(1, 2), feed(1)}}
	r.highest.Store(2)
	report := Report{}
	r.fill(&report)
	if report.Lost != 1 || report.OK() {
		t.Errorf("lost %d, ok=%v: a reader that misses the end is not noticed", report.Lost, report.OK())
	}
	for _, bad := range []Report{{Lost: 1}, {Doubled: 1}, {OutOfOrder: 1}, {Unknown: 1}} {
		if bad.OK() {
			t.Errorf("%+v is OK", bad)
		}
	}
	if !(Report{Sent: 3, Acknowledged: 2, Refused: 1, Gaps: 4}).OK() {
		t.Error("refusals and gaps are no violations")
	}
}
