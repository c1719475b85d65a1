package wire

import (
	"github.com/throng/throng/streams"
)

// Undoing is what rollback asks for.
type Undoing struct {
	Users    []streams.User // 1 to [streams.MaxAddressed], each once
	SinceSeq Option         // what they wrote from this place of the log on,
	Since    Option         // or from this time on, ms since 1970 UTC
	Ban      bool
	Until    int64 // of the bans, ms since 1970 UTC, 0: for good
	Reason   string
	ClientID streams.ClientID // zero where none was given
}

func parseRollback(f *fields, c *Command) {
	c.Group = f.group()
	u := &Undoing{
		SinceSeq: f.number("since_seq"), Since: f.number("since"),
		Ban: true, Until: int64(f.number("until").Value), Reason: f.reason(),
	}
	for _, user := range f.users("users", streams.MaxAddressed) {
		u.Users = append(u.Users, streams.User(user))
	}
	switch {
	case len(u.Users) == 0:
		f.bad("users must name 1 to %d users", streams.MaxAddressed)
	case u.SinceSeq.Given == u.Since.Given:
		f.bad("rollback goes back to since_seq or to since")
	}
	if ban, given := f.flag("ban"); given {
		u.Ban = ban
	}
	if u.Until != 0 && !u.Ban {
		f.bad("until is of bans")
	}
	u.ClientID = f.clientID()
	c.Undo = u
}

// AppendRolledBack appends the ok object of rollback.
func AppendRolledBack(b []byte, recalled, banned int, through streams.Seq, more bool) []byte {
	w := object(b)
	w.number("recalled", uint64(recalled))
	w.number("banned", uint64(banned))
	w.number("through", uint64(through))
	if more {
		w.flag("more", true)
	}
	return w.end()
}
