// Package irc reads the public #ubuntu channel logs, so that real talk can be imported, replayed and used as load.
//
// The package is pure: bytes in, entries out. It knows nothing of groups, commands or the network; what an entry
// becomes is the importer's business.
//
// # The format
//
// One line is one entry, always: 38,093 lines are 38,093 entries. A line nobody can classify is a [Notice] with the
// whole line as its text, so nothing is skipped silently.
//
//	[04:46] <nick> text                              Message
//	[15:44]  * nick does something                   Action (logs from 2008 on)
//	=== nick laughs                                  Action (logs before 2008)
//	=== nick [~user@host]  has joined #ubuntu        Join
//	=== nick [~user@host]  has left #ubuntu ["bye"]  Part, and the same with "has quit"
//	=== nick is now known as other                   Rename
//	=== mode/#ubuntu [+o nick]  by ChanServ          Notice, like every other line of the server
//
// An old action cannot be told from a status line by its form alone: somebody who typed "/me has joined #ubuntu"
// has joined.
//
// # What is kept and what is changed
//
// Text is kept byte for byte: leading and trailing white space, tabs and control characters included. Only three
// things change a line: the line end (LF or CRLF) goes, a byte that is not UTF-8 becomes one U+FFFD (and sets
// [Entry.Replaced]), and a line longer than 64 KiB is cut there and says so at its end (and sets [Entry.Truncated]).
//
// The logger of the years before 2008 put a space after every "]", in nicks too: "Cal[]John" is written "Cal[] John", by
// its owner's lines and by those who address it. It is left as it is written. Only at the end of a nick the space is
// dropped ("[FiDo] " is "[FiDo]"), because the logger did not always write it there. So a nick has one spelling
// within a log.
//
// # Time
//
// A line carries hours and minutes only, read as UTC; the day is the caller's, see [Day]. When the hour falls by more
// than twelve, midnight has passed and the following lines are a day later. A line without a clock has the time of
// the line before it. Times are therefore not strictly ordered: some old logs use a twelve-hour clock and fall back
// by eleven hours at noon or midnight, and which of the two cannot be known. The order of the lines is the truth.
package irc
