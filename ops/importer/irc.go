package importer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/throng/throng/ops/irc"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// noticeUser writes what the IRC server said. Only servers make such names.
const noticeUser = "@irc"

// IRC imports one day's log of an IRC channel. name is the file's, of which the
// date and, with the lines, the client ids are made; its folder does not
// matter.
//
// A message becomes a message of type text, an action one of type action with
// the body {"text":…}, a line of the server one of type notice. Joins and parts
// become join and leave, a rename the leave of the old name and the join of the
// new. Who speaks without having come was there before the log began: a join
// is added, so that every message in the group is a member's.
func (im *Import) IRC(ctx context.Context, name string, r io.Reader) error {
	day, err := irc.Day(name)
	if err != nil {
		return err
	}
	file := &ircFile{im: im, name: filepath.Base(name), here: map[string]bool{}, seen: map[string]bool{}}
	for entry, err := range irc.Parse(r, day) {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := file.entry(ctx, entry); err != nil {
			return fmt.Errorf("%s:%d: %w", name, entry.Line, err)
		}
	}
	return im.Flush(ctx)
}

// ircFile is what is known within one file.
type ircFile struct {
	im   *Import
	name string
	here map[string]bool // nicks in the channel now
	seen map[string]bool // nicks met so far: who can be addressed
}

func (f *ircFile) entry(ctx context.Context, e irc.Entry) error {
	f.im.summary.Lines[e.Kind.String()]++
	switch e.Kind {
	case irc.Message:
		return f.say(ctx, e, f.message(e))
	case irc.Action:
		return f.say(ctx, e, object("action", e.Text))
	case irc.Join:
		return f.join(ctx, e, 0, e.Nick, "")
	case irc.Part:
		return f.leave(ctx, e, 0, e.Nick, e.Reason)
	case irc.Rename:
		if err := f.leave(ctx, e, 0, e.Nick, "is now known as "+e.NewNick); err != nil {
			return err
		}
		return f.join(ctx, e, 1, e.NewNick, "was known as "+e.Nick)
	}
	send := object("notice", e.Text)
	send.Channel = string(f.im.config.Channel)
	return f.add(ctx, e, 0, noticeUser, &streampb.Command{Body: &streampb.Command_Send{Send: send}})
}

func (f *ircFile) message(e irc.Entry) *streampb.Send {
	text := cut(e.Text, streams.MaxBody)
	if text == "" {
		text = " " // somebody pressed Enter; a body can't be empty
	}
	send := &streampb.Send{Type: "text", Body: []byte(text)}
	for _, nick := range irc.Mentions(e.Text, func(nick string) bool { return f.seen[nick] }) {
		if len(send.Mentions) < streams.MaxMentions {
			send.Mentions = append(send.Mentions, irc.UserID(nick))
		}
	}
	return send
}

// object is a message of a type of its own with the body {"text":…}.
func object(kind, text string) *streampb.Send {
	body, err := json.Marshal(map[string]string{"text": cut(text, streams.MaxBody/8)}) // escapes grow
	if err != nil {
		panic(fmt.Sprintf("a string can't be encoded: %v", err))
	}
	return &streampb.Send{Type: kind, Body: body, BodyJson: true}
}

func (f *ircFile) say(ctx context.Context, e irc.Entry, send *streampb.Send) error {
	if !f.here[e.Nick] {
		if err := f.join(ctx, e, 1, e.Nick, "was in the channel when the log began"); err != nil {
			return err
		}
	}
	send.Channel = string(f.im.config.Channel)
	return f.add(ctx, e, 0, irc.UserID(e.Nick), &streampb.Command{Body: &streampb.Command_Send{Send: send}})
}

func (f *ircFile) join(ctx context.Context, e irc.Entry, part int, nick, reason string) error {
	f.here[nick], f.seen[nick] = true, true
	return f.add(ctx, e, part, irc.UserID(nick), &streampb.Command{Body: &streampb.Command_Join{
		Join: &streampb.Join{Reason: cut(reason, streams.MaxReason)},
	}})
}

func (f *ircFile) leave(ctx context.Context, e irc.Entry, part int, nick, reason string) error {
	delete(f.here, nick)
	f.seen[nick] = true
	return f.add(ctx, e, part, irc.UserID(nick), &streampb.Command{Body: &streampb.Command_Leave{
		Leave: &streampb.Leave{Reason: cut(reason, streams.MaxReason)},
	}})
}

// add makes the line's id: the same for the same line of the same file, for
// ever. part tells the commands of one line apart.
func (f *ircFile) add(ctx context.Context, e irc.Entry, part int, user string, c *streampb.Command) error {
	c.User = user
	sum := sha256.Sum256(fmt.Appendf(nil, "irc\x00%s\x00%d\x00%d\x00%s\x00%s\x00%s", f.name, e.Line, part, e.Kind, e.Nick, e.Text))
	return f.im.add(ctx, c, streams.MakeClientID(e.Time.UnixMilli(), [10]byte(sum[:10])), e.Time)
}

// cut shortens s to at most limit bytes, visibly and between characters.
func cut(s string, limit int) string {
	const mark = "…"
	if len(s) <= limit {
		return s
	}
	s = s[:limit-len(mark)]
	return strings.ToValidUTF8(s, "") + mark
}

func freshID() streams.ClientID {
	var entropy [10]byte
	_, _ = rand.Read(entropy[:]) // never fails
	return streams.MakeClientID(time.Now().UnixMilli(), entropy)
}
