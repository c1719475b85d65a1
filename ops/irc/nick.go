package irc

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// maxUser is the length of a user id in bytes, as PROTOCOL section 1 has it.
const maxUser = 64

// UserID returns the user id that stands for a nick: 1-64 of A-Z a-z 0-9 _ -.
//
// A nick that is such an id already is its own. Any other has every illegal character replaced by "_" and gets "-" and
// six hex digits of a hash of the exact nick, so that "foo|" and "foo`" remain two users; what is too long is cut
// before the suffix. Case is kept, although IRC ignores it: "Bob" and "bob" are two users.
//
// Two nicks collide only where 24 bits of SHA-256 do, or where somebody's nick is another one's id.
func UserID(nick string) string {
	id := strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, nick)
	if id == nick && 0 < len(id) && len(id) <= maxUser {
		return id
	}
	if id == "" {
		id = "_"
	}
	sum := sha256.Sum256([]byte(nick))
	suffix := "-" + hex.EncodeToString(sum[:3])
	return id[:min(len(id), maxUser-len(suffix))] + suffix
}

// Mentions returns the nicks that a text addresses at its start, each once, in order: "nick: …", "nick, …" or several,
// "a, b: …". Only those that known knows count, and the first unknown one ends the search, so a sentence that happens
// to have a comma addresses nobody. A colon ends it too, unless it is part of "::" or "://", which address nobody.
//
// A nick is taken as it is spelled in the text, without spaces around it; whether "JRIB:" means "jrib" is for known to
// say.
func Mentions(text string, known func(nick string) bool) []string {
	var nicks []string
	rest := text
	for {
		rest = strings.TrimLeft(rest, " ")
		end := strings.IndexAny(rest, ",:")
		if end < 1 {
			return nicks
		}
		nick, after := strings.TrimRight(rest[:end], " "), rest[end+1:]
		colon := rest[end] == ':'
		if colon && (strings.HasPrefix(after, ":") || strings.HasPrefix(after, "//")) || !known(nick) {
			return nicks
		}
		if !slices.Contains(nicks, nick) {
			nicks = append(nicks, nick)
		}
		if colon {
			return nicks
		}
		rest = after
	}
}
