package sequencer

import (
	"fmt"
	"hash/maphash"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// The window's entries are written and read here without a message in between:
// a takeover reads a million of them. What is written is what proto.Marshal
// would write. What this reader does not expect, as a later version may have
// written it, proto.Unmarshal reads.

// Fields of streampb.DedupChunk and streampb.DedupEntry.
const (
	chunkEntry protowire.Number = 1

	entryUser     protowire.Number = 1
	entryClientID protowire.Number = 2
	entryV        protowire.Number = 3
	entryN        protowire.Number = 4
	entrySeq      protowire.Number = 5
	entryTS       protowire.Number = 6
	entryAccepted protowire.Number = 7
	entryAttempt  protowire.Number = 8
)

// appendChunkEntry adds an entry to an encoded piece.
func appendChunkEntry(b []byte, user streams.User, a *accepted) []byte {
	var buffer [2*streams.MaxName + 128]byte
	e := buffer[:0]
	e = appendLength(e, entryUser, string(user))
	e = appendLength(e, entryClientID, string(a.key.id.Bytes()))
	e = appendNumber(e, entryV, uint64(a.outcome.v))
	e = appendNumber(e, entryN, uint64(a.outcome.n))
	e = appendNumber(e, entrySeq, uint64(a.outcome.seq))
	e = appendNumber(e, entryTS, uint64(a.outcome.ts))
	e = appendNumber(e, entryAccepted, uint64(a.at))
	if a.outcome.attempt != 0 {
		e = protowire.AppendTag(e, entryAttempt, protowire.Fixed32Type)
		e = protowire.AppendFixed32(e, a.outcome.attempt)
	}
	b = protowire.AppendTag(b, chunkEntry, protowire.BytesType)
	return protowire.AppendBytes(b, e)
}

func appendLength(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

// readChunk calls visit for each entry of a piece; a holds only until it
// returns. It fails on bytes that are no piece, maybe after some entries.
func readChunk(data []byte, visit func(a *accepted)) error {
	var a accepted
	for rest := data; len(rest) > 0; {
		field, kind, tag := protowire.ConsumeTag(rest)
		if tag < 0 || field != chunkEntry || kind != protowire.BytesType {
			return readRest(rest, visit)
		}
		entry, length := protowire.ConsumeBytes(rest[tag:])
		if length < 0 {
			return readRest(rest, visit)
		}
		if !readEntry(entry, &a) {
			if err := readRest(rest[:tag+length], visit); err != nil {
				return err
			}
		} else {
			visit(&a)
		}
		rest = rest[tag+length:]
	}
	return nil
}

// readEntry reads an entry of the fields this version knows; false for any
// other.
func readEntry(b []byte, a *accepted) bool {
	*a = accepted{key: dedupKey{user: noUser}}
	for len(b) > 0 {
		// All tags are of one byte.
		field, kind := protowire.DecodeTag(uint64(b[0]))
		b = b[1:]
		switch kind {
		case protowire.VarintType:
			n, length := protowire.ConsumeVarint(b)
			if length < 0 || !a.set(field, n) {
				return false
			}
			b = b[length:]
		case protowire.BytesType:
			s, length := protowire.ConsumeBytes(b)
			if length < 0 || !a.name(field, s) {
				return false
			}
			b = b[length:]
		case protowire.Fixed32Type:
			n, length := protowire.ConsumeFixed32(b)
			if length < 0 || field != entryAttempt {
				return false
			}
			a.outcome.attempt = n
			b = b[length:]
		default:
			return false
		}
	}
	return true
}

func (a *accepted) set(field protowire.Number, n uint64) bool {
	switch field {
	case entryV:
		a.outcome.v = streams.Version(n)
	case entryN:
		a.outcome.n = streams.Number(n)
	case entrySeq:
		a.outcome.seq = streams.Seq(n)
	case entryTS:
		a.outcome.ts = int64(n)
	case entryAccepted:
		a.at = int64(n)
	default:
		return false
	}
	return true
}

var noUser = keyOf("", streams.ClientID{}).user

func (a *accepted) name(field protowire.Number, s []byte) bool {
	switch {
	case field == entryUser && utf8.Valid(s):
		a.key.user = maphash.Bytes(dedupSeed, s) // as of the string
	case field == entryClientID && len(s) == len(a.key.id):
		copy(a.key.id[:], s)
	default:
		return false
	}
	return true
}

// readRest reads whatever is encoded, or says what is wrong with it.
func readRest(data []byte, visit func(a *accepted)) error {
	piece := &streampb.DedupChunk{}
	if err := proto.Unmarshal(data, piece); err != nil {
		return fmt.Errorf("read a piece of the duplicate window: %w", err)
	}
	for _, e := range piece.GetEntries() {
		id, err := streams.ClientIDFromBytes(e.GetClientId())
		if err != nil {
			return err
		}
		visit(&accepted{
			key: keyOf(streams.User(e.GetUser()), id),
			outcome: outcome{
				v: streams.Version(e.GetV()), n: streams.Number(e.GetN()), seq: streams.Seq(e.GetSeq()),
				ts: e.GetTs(), attempt: e.GetAttempt(),
			},
			at: e.GetAccepted(),
		})
	}
	return nil
}
