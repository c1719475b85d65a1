package irc

import (
	"fmt"
	"time"
)

// Kind says what a line of the log tells.
type Kind uint8

// The kinds of an [Entry], and the fields each one sets beside Line, Kind, Time, Replaced and Truncated.
const (
	Notice  Kind = iota // Text, the whole line: modes, kicks, topics, and whatever is not recognized
	Message             // Nick, Text (may be empty)
	Action              // Nick, Text without the nick (may be empty)
	Join                // Nick, Host (may be empty)
	Part                // Nick, Host, Reason (both may be empty): left the channel or quit
	Rename              // Nick, NewNick
)

var kindNames = [...]string{"notice", "message", "action", "join", "part", "rename"}

// String returns the kind in lower case, such as "message".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Entry is one line of a log. All strings are valid UTF-8.
type Entry struct {
	Line      int       // number of the line in its file, from 1
	Kind      Kind      // which of the fields below are set
	Time      time.Time // UTC, to the minute; the last one seen where the line has none
	Nick      string    // as written; see the package comment about spaces
	NewNick   string    // of a Rename
	Text      string    // of a Message, Action or Notice, byte for byte
	Host      string    // user@host of a Join or Part, without the brackets
	Reason    string    // of a Part, without brackets and quotes
	Replaced  bool      // the line held bytes that are not UTF-8; each is now U+FFFD
	Truncated bool      // the line was longer than 64 KiB; its rest is gone and its end says so
}
