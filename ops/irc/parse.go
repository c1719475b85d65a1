package irc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxLine = 64 << 10 // bytes of a line that are kept

	// cutMark ends a line that was longer than maxLine.
	cutMark = "… [line cut at 64 KiB]"
)

// Parse yields the entries of a log of the given day, exactly one per line, in order. Of day only the date counts.
//
// An error is r's own, wrapped with the number of the line that could not be read; it comes with a zero Entry and ends
// the sequence. No content of a line is an error. Memory is bounded by the longest line that is kept, 64 KiB.
func Parse(r io.Reader, day time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		lines := bufio.NewReaderSize(r, maxLine+len("\r\n"))
		now := clock{now: time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC)}
		for number := 1; ; number++ {
			raw, cut, err := readLine(lines)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Entry{}, fmt.Errorf("read line %d: %w", number, err))
				return
			}
			line, replaced := decode(raw)
			if cut {
				line += cutMark
			}
			e := now.parse(line)
			e.Line, e.Replaced, e.Truncated = number, replaced, cut
			if !yield(e, nil) {
				return
			}
		}
	}
}

// readLine returns the next line without its end, valid until the next call, and whether its rest was thrown away.
// It returns io.EOF when there is no further line; a file need not end with a line feed.
func readLine(r *bufio.Reader) (line []byte, cut bool, err error) {
	line, err = r.ReadSlice('\n')
	switch {
	case err == nil:
		line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	case errors.Is(err, io.EOF) && len(line) > 0:
		err = nil
	case errors.Is(err, bufio.ErrBufferFull):
		// The buffer holds the head of the line; copy it before the rest is read over it.
		line = bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			err = nil // the next call reports it
		}
	}
	if err != nil {
		return nil, false, err
	}
	if len(line) <= maxLine {
		return line, false, nil
	}
	return cutAtRune(line, maxLine), true, nil
}

// cutAtRune shortens b to at most size bytes without splitting a rune.
func cutAtRune(b []byte, size int) []byte {
	end := size
	for end > size-utf8.UTFMax && !utf8.RuneStart(b[end]) {
		end--
	}
	if !utf8.RuneStart(b[end]) {
		end = size // no rune is that long: these bytes are not UTF-8
	}
	return b[:end]
}

// decode makes every byte of raw that is not UTF-8 a U+FFFD of its own, so that the damage shows its length.
func decode(raw []byte) (line string, replaced bool) {
	if utf8.Valid(raw) {
		return string(raw), false
	}
	return string([]rune(string(raw))), true
}

// clock is the time of the log as far as it has been read.
type clock struct {
	now time.Time
}

// set moves the clock to hour and minute, over midnight if the hour falls by more than twelve.
func (c *clock) set(hour, minute int) {
	day := c.now.Day()
	if c.now.Hour()-hour > 12 {
		day++
	}
	c.now = time.Date(c.now.Year(), c.now.Month(), day, hour, minute, 0, 0, time.UTC)
}

// parse reads one line and moves the clock where the line has one.
func (c *clock) parse(line string) Entry {
	e := Entry{Text: line} // a Notice, unless something below knows better
	if status, ok := strings.CutPrefix(line, "=== "); ok {
		e = parseStatus(status, line)
	} else if hour, minute, rest, ok := cutClock(line); ok {
		c.set(hour, minute)
		e = parseSaid(rest, line)
	}
	e.Time = c.now
	return e
}

// cutClock splits "[hh:mm]" off the line.
func cutClock(line string) (hour, minute int, rest string, ok bool) {
	if len(line) < len("[hh:mm]") || line[0] != '[' || line[3] != ':' || line[6] != ']' {
		return 0, 0, "", false
	}
	for _, i := range []int{1, 2, 4, 5} {
		if line[i] < '0' || line[i] > '9' {
			return 0, 0, "", false
		}
	}
	hour = int(line[1]-'0')*10 + int(line[2]-'0')
	minute = int(line[4]-'0')*10 + int(line[5]-'0')
	return hour, minute, line[len("[hh:mm]"):], hour < 24 && minute < 60
}

// parseSaid reads what follows the clock: a message or an action.
func parseSaid(rest, line string) Entry {
	if said, ok := strings.CutPrefix(rest, " <"); ok {
		// No nick holds a ">", so the first one ends it, whatever the text holds.
		nick, text, ok := strings.Cut(said, ">")
		if nick = trimNick(nick); ok && nick != "" {
			return Entry{Kind: Message, Nick: nick, Text: strings.TrimPrefix(text, " ")}
		}
	}
	if done, ok := strings.CutPrefix(rest, "  * "); ok {
		if nick, text, _ := strings.Cut(done, " "); nick != "" {
			return Entry{Kind: Action, Nick: nick, Text: text}
		}
	}
	return Entry{Text: line}
}

// The forms of a status line, without its "=== ". A nick holds a space only after a "]", where the old logger put it.
var (
	joinForm   = regexp.MustCompile(`^((?:[^ \]]|\] ?)+)(?: \[([^ @]+@[^ ]+)\] ?)? has joined [#&][^ ]* ?$`)
	partForm   = regexp.MustCompile(`^((?:[^ \]]|\] ?)+)(?: \[([^ @]+@[^ ]+)\] ?)? has (?:left [#&][^ ]*|quit(?: IRC)?)(?: [\[(](.*)[\])] ?)?$`)
	renameForm = regexp.MustCompile(`^((?:[^ \]]|\] ?)+) is now known as ((?:[^ \]]|\] ?)+)$`)
	// actionForm asks for a nick as RFC 2812 spells it (and a leading digit, which some have); a word such as
	// "mode/#ubuntu" or "Topic:" is none. The text may be missing.
	actionForm = regexp.MustCompile("^((?:[A-Za-z0-9_`^{|}\\[\\\\-]|\\] ?)+)(?: (.*))?$")
	// serverForm is what the server or a service says in words that begin like an action's.
	serverForm = regexp.MustCompile(`^(?:Topic (?:for |\()|` +
		`(?:[^ \]]|\] ?)+ (?:\[[^ ]+@[^ ]+\]|(?:has )?(?:changed|set|sets) the topic|(?:has )?sets? mode|(?:was|has been) (?:kicked|banned))(?: |$))`)
)

// parseStatus reads a line that began with "===".
func parseStatus(status, line string) Entry {
	if m := joinForm.FindStringSubmatch(status); m != nil {
		return Entry{Kind: Join, Nick: trimNick(m[1]), Host: m[2]}
	}
	if m := partForm.FindStringSubmatch(status); m != nil {
		return Entry{Kind: Part, Nick: trimNick(m[1]), Host: m[2], Reason: unquote(m[3])}
	}
	if m := renameForm.FindStringSubmatch(status); m != nil {
		return Entry{Kind: Rename, Nick: trimNick(m[1]), NewNick: trimNick(m[2])}
	}
	if serverForm.MatchString(status) {
		return Entry{Text: line}
	}
	if m := actionForm.FindStringSubmatch(status); m != nil {
		return Entry{Kind: Action, Nick: trimNick(m[1]), Text: m[2]}
	}
	return Entry{Text: line}
}

// trimNick drops what the logger put after a "]" at the end of a nick, and left out at the end of a line.
func trimNick(nick string) string {
	return strings.TrimRight(nick, " ")
}

// unquote takes a reason out of its quotes. The logger cut reasons at the first space, so the closing one is often lost.
func unquote(reason string) string {
	return strings.TrimSuffix(strings.TrimPrefix(reason, `"`), `"`)
}
