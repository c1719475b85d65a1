package sequencer

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// plainDedup is the duplicate window in the words of its description.
type plainDedup struct {
	entries []streampb.DedupEntry
}

func (p *plainDedup) find(user string, id streams.ClientID) *streampb.DedupEntry {
	for i := range p.entries {
		if e := &p.entries[i]; e.GetUser() == user && bytes.Equal(e.GetClientId(), id[:]) {
			return e
		}
	}
	return nil
}

func (p *plainDedup) expire(now int64) {
	for len(p.entries) > 0 && p.entries[0].GetAccepted()+dedupKeep.Milliseconds() < now {
		p.entries = p.entries[1:]
	}
}

func TestDuplicateWindowAnswersAsAPlainOneDoes(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		users := []streams.User{"a", "b", "c", "d"}
		d, plain := newDedup(), &plainDedup{}
		// Numbers are to begin anew on the way.
		start := uint32(0) - uint32(random.IntN(4))*dedupBlockEntries
		d.base, d.head, d.next = start, start, start
		var ids []streams.ClientID
		id := func() streams.ClientID {
			if len(ids) > 0 && random.IntN(4) == 0 {
				return ids[len(ids)-1-random.IntN(min(len(ids), 1000))]
			}
			var entropy [10]byte
			entropy[9], entropy[8] = byte(len(ids)), byte(len(ids)>>8)
			ids = append(ids, streams.MakeClientID(int64(len(ids)), entropy))
			return ids[len(ids)-1]
		}
		now := int64(1_000_000)
		for step := range 3000 {
			now += random.Int64N(dedupKeep.Milliseconds() / 500)
			u := users[random.IntN(len(users))]
			switch {
			case random.IntN(50) == 0:
				d.expire(now)
				plain.expire(now)
			case random.IntN(3) > 0:
				e := &streams.Event{
					User: u, ClientID: id(), V: streams.Version(step), N: streams.Number(2 * step), Seq: streams.Seq(3 * step),
					TS: now - 1, Attempt: random.Uint32(), Answer: random.IntN(9) > 0,
				}
				d.add(e, now)
				if e.Answer && plain.find(string(u), e.ClientID) == nil {
					plain.entries = append(plain.entries, streampb.DedupEntry{
						User: string(u), ClientId: e.ClientID.Bytes(), V: uint64(e.V), N: uint64(e.N), Seq: uint64(e.Seq),
						Ts: e.TS, Accepted: now, Attempt: e.Attempt,
					})
				}
			}
			asked := id()
			got, known := d.find(u, asked)
			want := plain.find(string(u), asked)
			if known != (want != nil) || known && got != outcomeOf(want) {
				t.Fatalf("seed %d step %d: found %v %+v, want %v", seed, step, known, got, want)
			}
			if d.count() != len(plain.entries) {
				t.Fatalf("seed %d step %d: the window has %d entries, want %d", seed, step, d.count(), len(plain.entries))
			}
		}
		if used, most := len(d.blocks), len(plain.entries)/dedupBlockEntries+2; used > most {
			t.Errorf("seed %d: %d entries are in %d blocks", seed, len(plain.entries), used)
		}
	}
}

func outcomeOf(e *streampb.DedupEntry) outcome {
	return outcome{
		v: streams.Version(e.GetV()), n: streams.Number(e.GetN()), seq: streams.Seq(e.GetSeq()),
		ts: e.GetTs(), attempt: e.GetAttempt(),
	}
}

// Hashes of few different bits, so that nearly all places are taken and
// nearly all tags are met again.
func TestDuplicateIndexFindsWhatIsThere(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 2))
		var index dedupIndex
		there := map[uint32]uint64{}
		for number := uint32(0); number < 2000; number++ {
			hash := random.Uint64() & 0x8000_0000_7c00_0003
			index.put(hash, number)
			there[number] = hash
			if oldest := number / 2; random.IntN(2) == 0 && there[oldest] != 0 {
				index.remove(there[oldest], oldest)
				delete(there, oldest)
			}
			if number%50 != 0 {
				continue
			}
			for n, hash := range there {
				var found []uint32
				search := index.search(hash)
				for number, more := search.next(); more; number, more = search.next() {
					found = append(found, number)
				}
				if !slices.Contains(found, n) {
					t.Fatalf("seed %d: %d with hash %x is not found among %d", seed, n, hash, len(there))
				}
				for _, other := range found {
					if h, ok := there[other]; !ok || h>>56 != hash>>56 || h<<33 != hash<<33 {
						t.Fatalf("seed %d: %d is found that is not there, or elsewhere", seed, other)
					}
				}
			}
		}
		used := 0
		for i := range index {
			used += index[i].used
			if 4*index[i].used > 3*len(index[i].slots) {
				t.Errorf("seed %d: %d of %d slots are used", seed, index[i].used, len(index[i].slots))
			}
		}
		if used != len(there) {
			t.Errorf("seed %d: %d slots are used by %d entries", seed, used, len(there))
		}
	}
}

func TestPiecesAreWhatProtobufWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	number := func() uint64 { return random.Uint64() >> random.IntN(65) }
	want := &streampb.DedupChunk{}
	var pieces []piece
	for i := range chunkEntries {
		e := &streampb.DedupEntry{
			User: "user-" + string(rune('a'+i%26)), ClientId: make([]byte, 16), V: number(), N: number(), Seq: number(),
			Ts: int64(number()), Accepted: int64(number()), Attempt: uint32(number()),
		}
		e.ClientId[i%16] = byte(i%255 + 1)
		want.Entries = append(want.Entries, e)
		a := accepted{outcome: outcomeOf(e), at: e.GetAccepted()}
		copy(a.key.id[:], e.GetClientId())
		pieces = addToPieces(pieces, streams.User(e.GetUser()), &a)
	}
	data, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if len(pieces) != 1 || !bytes.Equal(pieces[0].data, data) || pieces[0].first != streams.Seq(want.GetEntries()[0].GetSeq()) {
		t.Errorf("got %d pieces, or other bytes", len(pieces))
	}
}

func TestPiecesOfABrokenRunKeepTheirNames(t *testing.T) {
	entries := func(from, count int) (pieces []piece) {
		for i := range count {
			a := accepted{outcome: outcome{seq: streams.Seq(from + i)}, at: int64(from + i)}
			pieces = addToPieces(pieces, "u", &a)
		}
		return pieces
	}
	for name, test := range map[string]struct{ older, newer, first, last int }{
		"both fit one piece":       {older: chunkEntries + 10, newer: 20, first: 2, last: 30},
		"together they are longer": {older: chunkEntries + 10, newer: chunkEntries, first: 3, last: chunkEntries},
		"nothing came since":       {older: 10, newer: 0, first: 1, last: 10},
		"nothing was in the run":   {older: 0, newer: 10, first: 1, last: 10},
	} {
		t.Run(name, func(t *testing.T) {
			older := entries(1, test.older)
			held := slices.Clone(older)
			joined := joinPieces(older, entries(1+test.older, test.newer))
			if len(joined) != test.first || joined[len(joined)-1].entries != test.last {
				t.Fatalf("%d pieces, the last of %d entries", len(joined), joined[len(joined)-1].entries)
			}
			next := streams.Seq(1)
			for i, p := range joined {
				if p.first != next {
					t.Errorf("piece %d begins at %d, want %d", i, p.first, next)
				}
				if i < len(held) && (p.first != held[i].first || !bytes.HasPrefix(p.data, held[i].data)) {
					t.Errorf("piece %d does not begin as before", i)
				}
				err := readChunk(p.data, func(a *accepted) {
					if a.outcome.seq != next || a.at > p.newest {
						t.Errorf("piece %d has %d accepted at %d, want %d up to %d", i, a.outcome.seq, a.at, next, p.newest)
					}
					next++
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if int(next) != 1+test.older+test.newer {
				t.Errorf("the pieces end before %d", next)
			}
		})
	}
}

func FuzzPieceIsReadAsProtobufReadsIt(f *testing.F) {
	a := accepted{key: dedupKey{id: streams.ClientID{1, 2, 15: 3}}, outcome: outcome{v: 1, n: 2, seq: 300, ts: 4, attempt: 5}, at: 6}
	entry := appendChunkEntry(nil, "alice", &a)
	f.Add(entry)
	f.Add(slices.Concat(entry, appendChunkEntry(nil, "bob", &accepted{})))
	f.Add(slices.Concat(entry, []byte{0x10, 1}, entry))           // a field that chunks do not have
	f.Add([]byte{0x0a, 4, 0x0a, 2, 0xff, 0xfe})                   // a name that is no UTF-8
	f.Add([]byte{0x0a, 4, 0x0a, 2, 0xc3, 0xa4})                   // one that is
	f.Add([]byte{0x0a, 3, 0x12, 1, 7})                            // an id of one byte
	f.Add([]byte{0x0a, 4, 0x4a, 2, 1, 1})                         // a field that entries do not have
	f.Add([]byte{0x0a, 3, 0x18, 0x80, 0x01, 0x0a, 3, 0x18, 0x80}) // cut off
	f.Add([]byte{0x0a, 4, 0x98, 0x00, 0x05, 0x00})                // a tag of two bytes
	f.Add([]byte{0x0a, 6, 0x18, 1, 0x18, 2, 0x12, 0})             // fields twice
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want []accepted
		gotErr := readChunk(data, func(a *accepted) { got = append(got, *a) })
		wantErr := readRest(data, func(a *accepted) { want = append(want, *a) })
		if (gotErr != nil) != (wantErr != nil) {
			t.Fatalf("got error %v, want %v", gotErr, wantErr)
		}
		if gotErr == nil && !slices.Equal(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}
