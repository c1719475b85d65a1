package irc

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

var christmas = time.Date(2004, 12, 25, 0, 0, 0, 0, time.UTC)

// parseAll returns all entries of a log and fails the test on a read error.
func parseAll(tb testing.TB, r io.Reader, day time.Time) []Entry {
	tb.Helper()
	var entries []Entry
	for e, err := range Parse(r, day) {
		if err != nil {
			tb.Fatalf("parse: %v", err)
		}
		entries = append(entries, e)
	}
	return entries
}

// countLines is the obvious count that Parse is held against.
func countLines(b []byte) int {
	n := bytes.Count(b, []byte("\n"))
	if len(b) > 0 && b[len(b)-1] != '\n' {
		n++
	}
	return n
}

// logFiles lists the logs in a folder, at least one.
func logFiles(tb testing.TB, dir string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.raw.txt"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no *.raw.txt in %s (%v)", dir, err)
	}
	return files
}

func TestFixturesParseAsRecorded(t *testing.T) {
	for _, file := range logFiles(t, "testdata") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			day, err := Day(file)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			entries := parseAll(t, bytes.NewReader(raw), day)
			if got, want := len(entries), countLines(raw); got != want {
				t.Errorf("got %d entries, want %d, one per line", got, want)
			}
			var got bytes.Buffer
			for _, e := range entries {
				fmt.Fprintf(&got, "%s %-7s nick=%q", e.Time.Format("2006-01-02T15:04"), e.Kind, e.Nick)
				for _, field := range []struct{ name, value string }{
					{"new", e.NewNick}, {"host", e.Host}, {"reason", e.Reason}, {"text", e.Text},
				} {
					if field.value != "" {
						fmt.Fprintf(&got, " %s=%q", field.name, field.value)
					}
				}
				got.WriteByte('\n')
			}
			golden := strings.TrimSuffix(file, ".raw.txt") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s differs; got:\n%swant:\n%s", golden, got.Bytes(), want)
			}
		})
	}
}

// TestRealLogsGiveOneEntryPerLine runs over the fixtures, which hold every form that occurs in the complete logs, or
// over those, which are too large for the repository, where THRONG_TEST_IRC_LOGS names their folder; see
// testdata/README.md.
func TestRealLogsGiveOneEntryPerLine(t *testing.T) {
	dir := os.Getenv("THRONG_TEST_IRC_LOGS")
	if dir == "" {
		dir = "testdata"
	}
	total := 0
	kinds := map[Kind]int{}
	for _, file := range logFiles(t, dir) {
		day, err := Day(file)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		entries := parseAll(t, bytes.NewReader(raw), day)
		if got, want := len(entries), countLines(raw); got != want {
			t.Errorf("%s: got %d entries, want %d", file, got, want)
		}
		lines := strings.Split(string(raw), "\n")
		for i, e := range entries {
			kinds[e.Kind]++
			checkEntry(t, e, i+1, day)
			if !strings.HasSuffix(lines[i], e.Text) {
				t.Errorf("%s:%d: text %q is not the end of %q", file, i+1, e.Text, lines[i])
			}
			if e.Kind == Notice {
				t.Logf("%s:%d: notice %q", filepath.Base(file), e.Line, e.Text)
			}
		}
		total += len(entries)
	}
	t.Logf("%d entries: %v", total, kinds)
}

// checkEntry tests what holds for every entry.
func checkEntry(tb testing.TB, e Entry, line int, day time.Time) {
	tb.Helper()
	if e.Line != line {
		tb.Errorf("got line %d, want %d", e.Line, line)
	}
	for _, s := range []string{e.Nick, e.NewNick, e.Text, e.Host, e.Reason} {
		if !utf8.ValidString(s) || strings.Contains(s, "\n") {
			tb.Errorf("line %d: %q is not one line of UTF-8", line, s)
		}
	}
	if (e.Nick == "") != (e.Kind == Notice) {
		tb.Errorf("line %d: a %v with nick %q", line, e.Kind, e.Nick)
	}
	if (e.NewNick != "") != (e.Kind == Rename) {
		tb.Errorf("line %d: a %v with new nick %q", line, e.Kind, e.NewNick)
	}
	if e.Kind != Message && e.Kind != Action && e.Kind != Notice && e.Text != "" {
		tb.Errorf("line %d: a %v with text %q", line, e.Kind, e.Text)
	}
	if e.Time.Before(day) || e.Time.Location() != time.UTC {
		tb.Errorf("line %d: time %v, on a log of %v", line, e.Time, day)
	}
}

func TestLineForms(t *testing.T) {
	tests := []struct {
		name string
		line string
		want Entry
	}{
		{"a message", "[04:46] <bob> hi  there ", Entry{Kind: Message, Nick: "bob", Text: "hi  there "}},
		{"a message keeps its leading space", "[04:46] <bob>  hi", Entry{Kind: Message, Nick: "bob", Text: " hi"}},
		{"a message with > in it", "[04:46] <bob> a > b <c> d", Entry{Kind: Message, Nick: "bob", Text: "a > b <c> d"}},
		{"a message of nothing", "[04:46] <bob> ", Entry{Kind: Message, Nick: "bob"}},
		{"a message of less than nothing", "[04:46] <bob>", Entry{Kind: Message, Nick: "bob"}},
		{"a nick with a space", "[04:46] <Cal[] John> x", Entry{Kind: Message, Nick: "Cal[] John", Text: "x"}},
		{"a nick that ends with a space", "[04:46] <[FiDo] > x", Entry{Kind: Message, Nick: "[FiDo]", Text: "x"}},
		{"control bytes stay", "[04:46] <bob> \x00\x08\x7f\tx", Entry{Kind: Message, Nick: "bob", Text: "\x00\x08\x7f\tx"}},
		{"a lone carriage return stays", "[04:46] <bob> a\rb", Entry{Kind: Message, Nick: "bob", Text: "a\rb"}},
		{"a status line in a message", "[04:46] <bob> === x is now known as y", Entry{Kind: Message, Nick: "bob", Text: "=== x is now known as y"}},
		{"a message of a space", "[04:46] < > hi", Entry{Text: "[04:46] < > hi"}},
		{"a message without nick", "[04:46] <> hi", Entry{Text: "[04:46] <> hi"}},
		{"an action", "[04:46]  * bob waves", Entry{Kind: Action, Nick: "bob", Text: "waves"}},
		{"an action of nothing", "[04:46]  * bob", Entry{Kind: Action, Nick: "bob"}},
		{"an action of a bracketed nick", "[04:46]  * [V13]Axel loves x", Entry{Kind: Action, Nick: "[V13]Axel", Text: "loves x"}},
		{"an action of nobody", "[04:46]  * ", Entry{Text: "[04:46]  * "}},
		{"an old action", "=== bob laughs", Entry{Kind: Action, Nick: "bob", Text: "laughs"}},
		{"an old action with several spaces", "=== bob   x", Entry{Kind: Action, Nick: "bob", Text: "  x"}},
		{"an old action of a spaced nick", "=== [bM] Neg laughs", Entry{Kind: Action, Nick: "[bM] Neg", Text: "laughs"}},
		{"an old action of a nick that ends with a space", "=== [FiDo]  laughs", Entry{Kind: Action, Nick: "[FiDo]", Text: "laughs"}},
		{"an old action about leaving", "=== bob has left", Entry{Kind: Action, Nick: "bob", Text: "has left"}},
		{"an old action about quitting", "=== bob has quit smoking", Entry{Kind: Action, Nick: "bob", Text: "has quit smoking"}},
		{"an old action about a name", "=== bob is now known as the boss", Entry{Kind: Action, Nick: "bob", Text: "is now known as the boss"}},
		{"a join", "=== bob [~b@h.example]  has joined #ubuntu", Entry{Kind: Join, Nick: "bob", Host: "~b@h.example"}},
		{"a join without host", "=== bob has joined #ubuntu", Entry{Kind: Join, Nick: "bob"}},
		{"a join of a spaced nick", "=== a] [b]  [n=b@h]  has joined #UBUNTU", Entry{Kind: Join, Nick: "a] [b]", Host: "n=b@h"}},
		{"a join from an odd host", "=== bob [i=[U2FsdGV@h]  has joined #ubuntu", Entry{Kind: Join, Nick: "bob", Host: "i=[U2FsdGV@h"}},
		{"a part", `=== bob [~b@h]  has left #ubuntu ["so long"]`, Entry{Kind: Part, Nick: "bob", Host: "~b@h", Reason: "so long"}},
		{"a part with a cut reason", `=== bob [~b@h]  has left #ubuntu ["Coming] `, Entry{Kind: Part, Nick: "bob", Host: "~b@h", Reason: "Coming"}},
		{"a part by request", "=== bob [~b@h]  has left #ubuntu [requested]", Entry{Kind: Part, Nick: "bob", Host: "~b@h", Reason: "requested"}},
		{"a part without reason", "=== bob [~b@h]  has left #ubuntu []", Entry{Kind: Part, Nick: "bob", Host: "~b@h"}},
		{"a quit", `=== bob [~b@h]  has quit ["bye"]`, Entry{Kind: Part, Nick: "bob", Host: "~b@h", Reason: "bye"}},
		{"a quit in round brackets", "=== bob [~b@h] has quit IRC (Ping timeout)", Entry{Kind: Part, Nick: "bob", Host: "~b@h", Reason: "Ping timeout"}},
		{"a rename", "=== bob is now known as bob_", Entry{Kind: Rename, Nick: "bob", NewNick: "bob_"}},
		{"a rename of spaced nicks", "=== Bart]  is now known as [M] Gonzo", Entry{Kind: Rename, Nick: "Bart]", NewNick: "[M] Gonzo"}},
		{"a mode", "=== mode/#ubuntu [+o bob]  by ChanServ", Entry{Text: "=== mode/#ubuntu [+o bob]  by ChanServ"}},
		{"a kick", "=== bob [~b@h]  was kicked off #ubuntu by al (flood)", Entry{Text: "=== bob [~b@h]  was kicked off #ubuntu by al (flood)"}},
		{"a kick of a spaced nick", "=== [bM] Neg [~b@h]  kicked off", Entry{Text: "=== [bM] Neg [~b@h]  kicked off"}},
		{"a kick without host", "=== bob was kicked off #ubuntu by al", Entry{Text: "=== bob was kicked off #ubuntu by al"}},
		{"a topic", "=== Topic for #ubuntu: be nice", Entry{Text: "=== Topic for #ubuntu: be nice"}},
		{"a changed topic", "=== al changed the topic of #ubuntu to: be nice", Entry{Text: "=== al changed the topic of #ubuntu to: be nice"}},
		{"an empty line", "", Entry{}},
		{"three equals signs", "===", Entry{Text: "==="}},
		{"three equals signs and a space", "=== ", Entry{Text: "=== "}},
		{"no clock", "[4:46] <bob> hi", Entry{Text: "[4:46] <bob> hi"}},
		{"an impossible clock", "[24:00] <bob> hi", Entry{Text: "[24:00] <bob> hi"}},
		{"a bare clock", "[04:46]", Entry{Text: "[04:46]"}},
		{"something else", "-bob- hi", Entry{Text: "-bob- hi"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n"} {
				entries := parseAll(t, strings.NewReader(test.line+end), christmas)
				if len(entries) != 1 {
					t.Fatalf("got %d entries, want 1", len(entries))
				}
				want := test.want
				want.Line, want.Time = 1, entries[0].Time
				if got := entries[0]; got != want {
					t.Errorf("line end %q: got %+v, want %+v", end, got, want)
				}
			}
		})
	}
}

func TestLastLineNeedsNoEnd(t *testing.T) {
	for log, want := range map[string]int{"": 0, "a": 1, "a\n": 1, "a\nb": 2, "\n": 1, "\n\n": 2, "a\r\n\r\nb": 3} {
		if got := len(parseAll(t, strings.NewReader(log), christmas)); got != want {
			t.Errorf("%q: got %d entries, want %d", log, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	const log = "=== a is now known as b\n" + // before any clock
		"[23:58] <b> x\n" +
		"=== b laughs\n" +
		"[00:01] <b> past midnight\n" +
		"[12:59] <b> x\n" +
		"[01:00] <b> a twelve-hour clock falls by less\n" +
		"[00:59] <b> backwards\n" +
		"[13:00] <b> x\n" +
		"[00:00] <b> midnight again\n" +
		"[77:00] <b> no clock\n"
	want := []string{
		"2004-12-25 00:00", "2004-12-25 23:58", "2004-12-25 23:58", "2004-12-26 00:01", "2004-12-26 12:59",
		"2004-12-26 01:00", "2004-12-26 00:59", "2004-12-26 13:00", "2004-12-27 00:00", "2004-12-27 00:00",
	}
	var got []string
	// The hour of the day that is passed in, and its zone, do not count.
	day := time.Date(2004, 12, 25, 17, 30, 0, 0, time.FixedZone("far", 3600))
	for _, e := range parseAll(t, strings.NewReader(log), day) {
		got = append(got, e.Time.Format("2006-01-02 15:04"))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestBytesThatAreNotUTF8(t *testing.T) {
	const log = "[04:46] <J\xf6rg> gr\xfc\xdfe\n[04:46] <bob> \ufffd was there before\n"
	entries := parseAll(t, strings.NewReader(log), christmas)
	if got, want := entries[0].Nick+" "+entries[0].Text, "J\ufffdrg gr\ufffd\ufffde"; got != want || !entries[0].Replaced {
		t.Errorf("got %q, replaced %v, want %q, true", got, entries[0].Replaced, want)
	}
	if entries[1].Replaced || entries[1].Text != "\ufffd was there before" {
		t.Errorf("a real U+FFFD is taken for damage: %+v", entries[1])
	}
}

func TestLongLinesAreCutVisibly(t *testing.T) {
	const head = "[04:46] <bob> "
	room := maxLine - len(head)
	tests := []struct {
		name string
		text string
		want string // text of the entry
	}{
		{"a line of 64 KiB is whole", strings.Repeat("x", room), strings.Repeat("x", room)},
		{"one byte more", strings.Repeat("x", room+1), strings.Repeat("x", room) + cutMark},
		{"two bytes more", strings.Repeat("x", room+2), strings.Repeat("x", room) + cutMark},
		{"a megabyte more", strings.Repeat("x", room+1<<20), strings.Repeat("x", room) + cutMark},
		{"a rune on the edge", strings.Repeat("x", room-1) + "éé", strings.Repeat("x", room-1) + cutMark},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n", ""} {
				entries := parseAll(t, strings.NewReader("=== a b\n"+head+test.text+end), christmas)
				if len(entries) != 2 {
					t.Fatalf("line end %q: got %d entries, want 2", end, len(entries))
				}
				e := entries[1]
				if e.Text != test.want || e.Kind != Message || e.Replaced || e.Truncated != strings.HasSuffix(test.want, cutMark) {
					t.Errorf("line end %q: got a %v of %d bytes, truncated %v, replaced %v, want a message of %d", end, e.Kind, len(e.Text), e.Truncated, e.Replaced, len(test.want))
				}
			}
		})
	}
	// What follows a cut line is read as if nothing had been there.
	entries := parseAll(t, strings.NewReader(strings.Repeat("y", 300_000)+"\n[05:00] <bob> next\n"), christmas)
	if len(entries) != 2 || entries[1].Text != "next" || entries[1].Line != 2 || entries[1].Truncated {
		t.Errorf("after a cut line: got %d entries, last %+v", len(entries), entries[len(entries)-1])
	}
}

func TestReadErrorEndsTheSequence(t *testing.T) {
	broken := errors.New("disk on fire")
	r := io.MultiReader(strings.NewReader("[04:46] <bob> one\n[04:47] <bob> tw"), iotest.ErrReader(broken))
	var texts []string
	var failed error
	for e, err := range Parse(r, christmas) {
		if failed != nil {
			t.Fatal("something came after the error")
		}
		if failed = err; err == nil {
			texts = append(texts, e.Text)
		}
	}
	if !slices.Equal(texts, []string{"one"}) || !errors.Is(failed, broken) || !strings.Contains(failed.Error(), "line 2") {
		t.Errorf("got %q and error %v, want one entry and the reader's error with line 2", texts, failed)
	}
}

func TestParseStopsWhenAsked(t *testing.T) {
	n := 0
	for _, err := range Parse(strings.NewReader("a\nb\nc\n"), christmas) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("got %d entries, want 2", n)
	}
}

func TestDay(t *testing.T) {
	for _, name := range []string{"2004-12-25.train-c.raw.txt", "/some/where/2004-12-25.raw.txt", "2004-12-25"} {
		if got, err := Day(name); err != nil || !got.Equal(christmas) {
			t.Errorf("%q: got %v, %v, want %v", name, got, err, christmas)
		}
	}
	for _, name := range []string{"", "log.txt", "2004-12.txt", "2004-13-01.txt", "2005-02-29.txt", "2004-12-255.txt", "2004-12-25/log.txt"} {
		if got, err := Day(name); err == nil || !strings.Contains(err.Error(), "YYYY-MM-DD") {
			t.Errorf("%q: got %v, %v, want an error that says what a name must be", name, got, err)
		}
	}
}

func ExampleParse() {
	const log = "[04:46] <alice> bob, are you there?\n" +
		"=== bob is now known as bob|away\n" +
		"[04:47]  * alice sighs\n"
	for e, err := range Parse(strings.NewReader(log), time.Date(2008, 2, 14, 0, 0, 0, 0, time.UTC)) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Time.Format(time.DateTime), e.Kind, e.Nick, e.Text+e.NewNick)
	}
	// Output:
	// 2008-02-14 04:46:00 message alice bob, are you there?
	// 2008-02-14 04:46:00 rename bob bob|away
	// 2008-02-14 04:47:00 action alice sighs
}

func FuzzParse(f *testing.F) {
	for _, file := range logFiles(f, "testdata") {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte("[04:46] <\xff> \x00\r\n=== \xe2\x80\n\r\r\n[00:00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries := parseAll(t, bytes.NewReader(raw), christmas)
		if got, want := len(entries), countLines(raw); got != want {
			t.Errorf("got %d entries, want %d, one per line", got, want)
		}
		known := func(string) bool { return true }
		for i, e := range entries {
			checkEntry(t, e, i+1, christmas)
			checkUserID(t, e.Nick)
			for _, nick := range Mentions(e.Text, known) {
				if !utf8.ValidString(nick) || nick == "" {
					t.Errorf("mention %q of %q", nick, e.Text)
				}
			}
		}
	})
}
