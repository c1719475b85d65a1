//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throng/throng/ops/irc"
	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams/streamtest"
)

// said is a message an import has to make.
type said struct {
	user, kind, text string
	ts               int64 // ms since 1970 UTC
}

// ircDay writes a log of one day in one of its two dialects and returns its
// messages as the import must bring them. It knows nothing of the parser:
// what it expects, it made.
func ircDay(t testing.TB, dir, date string, old bool, lines int, random *rand.Rand) (file string, want []said) {
	t.Helper()
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	present := []string{"anna", "Bob_", "c-3po", "dave99"}
	for i := range lines {
		minute := i * 24 * 60 / lines
		at := day.Add(time.Duration(minute) * time.Minute).UnixMilli()
		clock := fmt.Sprintf("[%02d:%02d]", minute/60, minute%60)
		who := random.IntN(len(present))
		nick := present[who]
		switch dice := random.IntN(20); {
		case dice == 0 && len(present) < 200:
			guest := fmt.Sprintf("guest%d", i)
			present = append(present, guest)
			fmt.Fprintf(&log, "=== %s [~%s@example.org]  has joined #ubuntu\n", guest, guest)
		case dice == 1 && len(present) > 4 && who >= 4:
			present = append(present[:who], present[who+1:]...)
			fmt.Fprintf(&log, "=== %s [~%s@example.org]  has left #ubuntu [\"bye\"]\n", nick, nick)
		case dice == 2 && who >= 4:
			present[who] = fmt.Sprintf("renamed%d", i)
			fmt.Fprintf(&log, "=== %s is now known as %s\n", nick, present[who])
		case dice == 3 && old:
			fmt.Fprintf(&log, "=== %s laughs at line %d\n", nick, i)
			// Without a clock: the time is that of the newest line with one.
			want = append(want, said{nick, "action", fmt.Sprintf("laughs at line %d", i), 0})
		case dice == 3:
			fmt.Fprintf(&log, "%s  * %s laughs at line %d\n", clock, nick, i)
			want = append(want, said{nick, "action", fmt.Sprintf("laughs at line %d", i), at})
		case dice == 4:
			fmt.Fprintf(&log, "%s <%s> caf\xe9 \xff\xfe %d\n", clock, nick, i)
			want = append(want, said{nick, "text", fmt.Sprintf("caf\uFFFD \uFFFD\uFFFD %d", i), at})
		case dice == 5:
			fmt.Fprintf(&log, "%s <%s>   white  space\tstays %d  \r\n", clock, nick, i)
			want = append(want, said{nick, "text", fmt.Sprintf("  white  space\tstays %d  ", i), at})
		case dice == 6:
			text := fmt.Sprintf("%s: «ÿ😀\\\"'%%{x:String}» %d", present[0], i)
			fmt.Fprintf(&log, "%s <%s> %s\n", clock, nick, text)
			want = append(want, said{nick, "text", text, at})
		case dice == 7:
			line := fmt.Sprintf("=== mode/#ubuntu [+o %s]  by ChanServ", nick)
			fmt.Fprintln(&log, line)
			want = append(want, said{"@irc", "notice", line, 0})
		default:
			text := fmt.Sprintf("line %d of %s", i, date)
			fmt.Fprintf(&log, "%s <%s> %s\n", clock, nick, text)
			want = append(want, said{nick, "text", text, at})
		}
	}
	file = filepath.Join(dir, date+".txt")
	if err := os.WriteFile(file, log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, want
}

// realLines copies the real lines kept with the parser, and returns what it
// makes of them; that it is right is its own tests' matter.
func realLines(t testing.TB) (files []string, want []said) {
	t.Helper()
	files, err := filepath.Glob("../irc/testdata/*.raw.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no real lines: %v", err)
	}
	for _, file := range files {
		day, err := irc.Day(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for entry, err := range irc.Parse(bytes.NewReader(data), day) {
			if err != nil {
				t.Fatal(err)
			}
			m := said{irc.UserID(entry.Nick), "text", entry.Text, entry.Time.UnixMilli()}
			switch entry.Kind {
			case irc.Action:
				m.kind = "action"
			case irc.Notice:
				m.user, m.kind = "@irc", "notice"
			case irc.Message:
				if m.text == "" {
					m.text = " "
				}
			default:
				continue
			}
			want = append(want, m)
		}
	}
	return files, want
}

// It proves that `throng import irc` brings logs in whole, in order, once, with
// their own times, while a client that follows the channel sees every event;
// that doing it again adds nothing; and that files, log, ClickHouse and the
// channel's head agree on how much there is.
func TestImportOfRealLogs(t *testing.T) {
	s := startServer(t)
	random := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	files, want := realLines(t)
	for _, day := range []struct {
		date string
		old  bool
	}{{"2006-03-01", true}, {"2006-03-02", true}, {"2011-05-03", false}} {
		file, messages := ircDay(t, dir, day.date, day.old, 4000, random)
		files, want = append(files, file), append(want, messages...)
	}
	newGroup(t, s.listen, "ubuntu", "general", "reader")
	reader := connect(t, s.listen, "dev:reader")
	reader.mustSubscribe(t, "ubuntu", "general", nil)

	args := append([]string{"import", "irc", "--group", "ubuntu", "--nats", s.nats}, files...)
	began := time.Now()
	code, stdout, stderr := run(t, nil, args...)
	if code != 0 {
		t.Fatalf("import: exit code %d\n%s%s", code, stdout, stderr)
	}
	t.Logf("imported within %.1f s with the race detector: %s", time.Since(began).Seconds(), lastLine(stdout))

	head := connect(t, s.listen, "dev:reader").mustSubscribe(t, "ubuntu", "general", nil)
	if head.N != uint64(len(want)) || head.V != head.N {
		t.Errorf("the channel is at v %d and n %d, the files have %d messages", head.V, head.N, len(want))
	}
	reader.await(t, "ubuntu", "general", head.V)
	live := reader.delivered("ubuntu", "general")
	t.Logf("live: %d events in blocks, %d gaps", len(live.events), len(live.gaps))
	events := reader.complete(t, "ubuntu", "general")
	sameEvents(t, "what came live", events, reader.mustPull(t, "ubuntu", "general", 0, head.V))
	compareImport(t, events, want)

	conn, js := s.connect(t)
	log := logOf(t, conn, js, "ubuntu")
	db := s.database(t)
	group := clickhouse.Params{"g": "ubuntu"}
	awaitCount(t, db, uint64(len(log)), "SELECT count() FROM events FINAL WHERE `group` = {g:String}", group)
	awaitCount(t, db, uint64(len(want)), "SELECT count() FROM messages FINAL WHERE `group` = {g:String} AND channel = 'general'", group)
	replaced := uint64(0)
	for _, m := range want {
		if strings.Contains(m.text, "\uFFFD") {
			replaced++
		}
	}
	if got := count(t, db, "SELECT count() FROM messages FINAL WHERE `group` = {g:String} AND position(body, '\uFFFD') > 0", group); got != replaced || replaced == 0 {
		t.Errorf("ClickHouse has %d messages with U+FFFD, want %d", got, replaced)
	}
	if got := count(t, db, "SELECT count() FROM messages FINAL WHERE `group` = {g:String} AND toYear(ts) = 2011", group); got == 0 {
		t.Error("ClickHouse has no message of 2011: times are not those of the files")
	}

	code, stdout, stderr = run(t, nil, args...)
	if code != 0 || !strings.Contains(stdout, " 0 events added") {
		t.Errorf("second import: exit code %d\n%s%s", code, stdout, stderr)
	}
	again := logOf(t, conn, js, "ubuntu")
	if len(again) != len(log) || again[len(again)-1].Seq != log[len(log)-1].Seq {
		t.Errorf("after the second import the log has %d events up to %d, before %d up to %d",
			len(again), again[len(again)-1].Seq, len(log), log[len(log)-1].Seq)
	}
}

// compareImport wants the events to be the messages, in order.
func compareImport(t *testing.T, events []*event, want []said) {
	t.Helper()
	if len(events) != len(want) {
		t.Errorf("%d events, want %d", len(events), len(want))
		return
	}
	wrong := 0
	for i, e := range events {
		text := e.text()
		if e.Type != "text" {
			var body struct {
				Text string `json:"text"`
			}
			if err := json.Unmarshal(e.Body, &body); err != nil {
				t.Errorf("event %d: %v", i+1, err)
			}
			text = body.Text
		}
		got := said{e.User, e.Type, text, e.TS}
		if want[i].ts == 0 {
			got.ts = 0
		}
		if got != want[i] {
			if wrong++; wrong < 5 {
				t.Errorf("event %d is %q, want %q", i+1, fmt.Sprint(got), fmt.Sprint(want[i]))
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d messages are not as in the files", wrong, len(want))
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// It proves that an import that is killed and started again ends in the same
// place as one that was not: nothing twice, nothing missing, the same order.
func TestImportGoesOnAfterItWasKilled(t *testing.T) {
	s := startServer(t)
	file, want := ircDay(t, t.TempDir(), "2006-03-01", true, 6000, rand.New(rand.NewPCG(3, 4)))
	newGroup(t, s.listen, "ubuntu", "general", "reader")
	reader := connect(t, s.listen, "dev:reader")
	reader.mustSubscribe(t, "ubuntu", "general", nil)
	args := []string{"import", "irc", "--group", "ubuntu", "--nats", s.nats, file}
	p := start(t, nil, args...)
	streamtest.Eventually(t, patience, "the import has begun", func() bool {
		return reader.last("ubuntu", "general") > 500 || p.exited()
	})
	p.kill9()
	cut := reader.last("ubuntu", "general")
	if code, stdout, stderr := run(t, nil, args...); code != 0 {
		t.Fatalf("import: exit code %d\n%s%s", code, stdout, stderr)
	}
	reader.await(t, "ubuntu", "general", uint64(len(want)))
	t.Logf("killed at about message %d of %d", cut, len(want))
	compareImport(t, reader.complete(t, "ubuntu", "general"), want)
}
