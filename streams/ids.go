package streams

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strings"
)

// Names of groups, channels, users and devices have one alphabet: 1 to
// [MaxName] of A-Z a-z 0-9 _ -. Names the server gives out may start with @.
// A value of these types has been through its parser; only such values may
// become subject tokens.
type (
	Group   string
	Channel string
	User    string
	Device  string
)

// The channels every group has.
const (
	GroupChannel   Channel = "@"        // settings, channels, attributes
	MembersChannel Channel = "@members" // joins, leaves, roles
)

// MaxName is the length limit of a name, in bytes.
const MaxName = 64

// Reserved reports whether only the server may make such a name.
func (c Channel) Reserved() bool { return c[0] == '@' }

func validName(s string) bool {
	if len(s) == 0 || len(s) > MaxName {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		case c == '@' && i == 0:
		default:
			return false
		}
	}
	return true
}

func parseName(what, s string) error {
	if !validName(s) {
		return Reject(BadRequest, "%s must be 1 to %d of A-Z a-z 0-9 _ -", what, MaxName)
	}
	return nil
}

// ParseGroup returns s as a group name, or a [*Rejection] with [BadRequest].
func ParseGroup(s string) (Group, error) { return Group(s), parseName("group", s) }

// ParseChannel returns s as a channel name, or a [*Rejection] with [BadRequest].
func ParseChannel(s string) (Channel, error) { return Channel(s), parseName("channel", s) }

// ParseUser returns s as a user name, or a [*Rejection] with [BadRequest].
func ParseUser(s string) (User, error) { return User(s), parseName("user", s) }

// DirectGroup is the name of the one direct group of two users, whoever of them
// comes first. It tells nothing of them to who does not know both.
func DirectGroup(a, b User) Group {
	sum := sha256.Sum256([]byte(min(a, b) + "\x00" + max(a, b)))
	return Group(directPrefix + hex.EncodeToString(sum[:20]))
}

const directPrefix = "@d"

// Direct reports whether the name is one that [DirectGroup] makes.
func (g Group) Direct() bool {
	return len(g) == len(directPrefix)+40 && strings.HasPrefix(string(g), directPrefix)
}

// UserHash is a user in 8 bytes, where many users are remembered and a
// confusion in 10^9 does no harm.
func UserHash(u User) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(u))
	x := h.Sum64() // FNV alone maps similar names to similar numbers
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd // spreads them (murmur3's finalizer)
	return x ^ x>>33
}

// ParseDevice returns s as a device name, or a [*Rejection] with [BadRequest].
func ParseDevice(s string) (Device, error) { return Device(s), parseName("device", s) }

// The three numbers of an event; see the package comment.
type (
	Version uint64
	Number  uint64
	Seq     uint64
)

// Epoch is the term of a sequencer: the sequence of the fence it stands on.
type Epoch uint64

// Partition is the index of a partition, from 0.
type Partition uint32

// PartitionOf returns the partition of a group among count partitions. It is
// part of the stored format: it must give the same answer for ever.
func PartitionOf(g Group, count uint32) Partition {
	h := fnv.New64a()
	_, _ = h.Write([]byte(g))
	x := h.Sum64()
	// FNV's low bits are weak for short names: fold the high half in.
	x ^= x >> 32
	return Partition(uint32(x) % count)
}

// ClientID is a UUIDv7 (RFC 9562) a sender made for one command, so that the
// command can be repeated without being done twice. Zero means none.
type ClientID [16]byte

// ParseClientID reads the canonical form (8-4-4-4-12 hexadecimal digits) of a
// version 7 UUID, or returns a [*Rejection] with [BadRequest].
func ParseClientID(s string) (ClientID, error) {
	var id ClientID
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		digits := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
		if _, err := hex.Decode(id[:], []byte(digits)); err == nil && id.valid() {
			return id, nil
		}
	}
	return ClientID{}, Reject(BadRequest, "client_id must be a UUIDv7")
}

// ClientIDFromBytes is the inverse of [ClientID.Bytes].
func ClientIDFromBytes(b []byte) (ClientID, error) {
	var id ClientID
	if len(b) == 0 {
		return id, nil
	}
	if len(b) != len(id) {
		return id, fmt.Errorf("client id of %d bytes", len(b))
	}
	copy(id[:], b)
	return id, nil
}

func (id ClientID) valid() bool { return id[6]>>4 == 7 && id[8]>>6 == 2 }

// IsZero reports whether there is no id.
func (id ClientID) IsZero() bool { return id == ClientID{} }

// Millis is the time inside the id, in ms since 1970 UTC.
func (id ClientID) Millis() int64 {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms
}

// Bytes returns the stored form: 16 bytes, or nil for none.
func (id ClientID) Bytes() []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// String returns the canonical form, or "" for none.
func (id ClientID) String() string {
	if id.IsZero() {
		return ""
	}
	return string(id.Append(nil))
}

// Append appends the canonical form.
func (id ClientID) Append(b []byte) []byte {
	b = hex.AppendEncode(b, id[0:4])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[4:6])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[6:8])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[8:10])
	b = append(b, '-')
	return hex.AppendEncode(b, id[10:16])
}

// MakeClientID builds a UUIDv7 from a time in ms since 1970 UTC and 10 bytes
// of entropy, of which 6 bits are overwritten by version and variant.
func MakeClientID(ms int64, entropy [10]byte) ClientID {
	var id ClientID
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	copy(id[6:], entropy[:])
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id
}
