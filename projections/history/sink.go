package history

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/groups"
	"github.com/throng/throng/streams"
)

// keysPerQuery bounds the text of one query's keys: 130 bytes each at most.
const keysPerQuery = 1000

// Record is an event of a partition's log, judged to belong.
type Record struct {
	Partition streams.Partition
	Event     *streams.Event
	Data      []byte // the event as the log has it
}

// Refusal is an entry of a log that could not be read as an event.
type Refusal struct {
	Partition streams.Partition
	Seq       streams.Seq
	Subject   string
	Reason    string
	Data      []byte
}

// Batch is what is written together. Per partition it is in order of the log
// and follows what was written before.
type Batch struct {
	Records  []Record
	Refusals []Refusal
}

// Written tells what [Sink.WriteState] did.
type Written struct {
	Rows map[string]int // by table; nil for none
	// Orphans are edits and recalls of messages and changes of channels that
	// are not there: their event was refused, or purged before it was read.
	Orphans int
}

// Head is how far a partition is stored.
type Head struct {
	Seq   streams.Seq   // of the newest event
	Epoch streams.Epoch // newest term of a stored event
}

// Place names a channel whose [streams.Place] is asked for.
type Place struct {
	Group   streams.Group
	Channel streams.Channel
}

// Sink writes history. It keeps nothing between calls; several may write the
// same at once.
type Sink struct {
	db *clickhouse.DB

	// Tests break these to show that the checker notices.
	afterInsert func(table string) error // a crash between two inserts
	unguarded   bool                     // fold again what is folded
}

// NewSink returns a sink; the tables must be there before it is used.
func NewSink(db *clickhouse.DB) *Sink { return &Sink{db: db} }

// Heads returns how far each partition is stored. Partitions of which nothing
// is stored are not in it.
func (s *Sink) Heads(ctx context.Context) (map[streams.Partition]Head, error) {
	heads := map[streams.Partition]Head{}
	const query = "SELECT `partition`, max(seq), max(epoch) FROM events GROUP BY `partition`"
	err := s.db.Query(ctx, query, nil, func(scan func(...any) error) error {
		var partition uint32
		var seq, epoch uint64
		if err := scan(&partition, &seq, &epoch); err != nil {
			return err
		}
		heads[streams.Partition(partition)] = Head{Seq: streams.Seq(seq), Epoch: streams.Epoch(epoch)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read how far history is stored: %w", err)
	}
	return heads, nil
}

// Places returns how far channels are stored. Channels of which nothing is
// stored are not in it.
func (s *Sink) Places(ctx context.Context, channels []Place) (map[Place]streams.Place, error) {
	places := make(map[Place]streams.Place, len(channels))
	const query = "SELECT `group`, channel, max(v), max(epoch) FROM events" +
		" WHERE (`group`, channel) IN {keys:Array(Tuple(String, String))} GROUP BY `group`, channel"
	for chunk := range slices.Chunk(channels, keysPerQuery) {
		var keys clickhouse.Tuples
		for _, c := range chunk {
			keys.Add(string(c.Group), string(c.Channel))
		}
		err := s.db.Query(ctx, query, clickhouse.Params{"keys": &keys}, func(scan func(...any) error) error {
			var group, channel string
			var v, epoch uint64
			if err := scan(&group, &channel, &v, &epoch); err != nil {
				return err
			}
			places[Place{streams.Group(group), streams.Channel(channel)}] = streams.Place{V: streams.Version(v), Epoch: streams.Epoch(epoch)}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read how far %d channels are stored: %w", len(chunk), err)
		}
	}
	return places, nil
}

// Refused reports whether the entry of a log at seq was set aside.
func (s *Sink) Refused(ctx context.Context, p streams.Partition, seq streams.Seq) (bool, error) {
	var found uint64
	const query = "SELECT count() FROM events_refused WHERE `partition` = {partition:UInt32} AND seq = {seq:UInt64}"
	err := s.db.Query(ctx, query, clickhouse.Params{"partition": uint32(p), "seq": uint64(seq)},
		func(scan func(...any) error) error { return scan(&found) })
	if err != nil {
		return false, fmt.Errorf("read what was set aside at %d of partition %d: %w", seq, p, err)
	}
	return found > 0, nil
}

// Write stores a batch. After an error some of it may be stored, and writing
// it again, alone or as part of another batch, is harmless.
func (s *Sink) Write(ctx context.Context, batch Batch) (Written, error) {
	written, err := s.WriteState(ctx, batch)
	if err != nil {
		return Written{}, err
	}
	return written, s.WriteEvents(ctx, batch)
}

// WriteState is the first half of [Sink.Write]: the state as it is after the
// batch, and what could not be read. It may run while the events of the batch
// before are written.
func (s *Sink) WriteState(ctx context.Context, batch Batch) (Written, error) {
	tables, orphans, err := s.state(ctx, batch)
	if err != nil {
		return Written{}, err
	}
	written := Written{Orphans: orphans}
	for _, t := range tables {
		if t.Rows == 0 {
			continue
		}
		if err := s.insert(ctx, t.Name, t.Columns); err != nil {
			return Written{}, err
		}
		if written.Rows == nil {
			written.Rows = map[string]int{}
		}
		written.Rows[t.Name] += t.Rows
	}
	return written, nil
}

// state returns what [Sink.WriteState] stores, in its order, which matters to nobody.
func (s *Sink) state(ctx context.Context, batch Batch) (tables []groups.Table, orphans int, err error) {
	messages, recalls, orphans, err := s.fold(ctx, batch.Records)
	if err != nil {
		return nil, 0, err
	}
	events := make([]*streams.Event, len(batch.Records))
	for i, record := range batch.Records {
		events[i] = record.Event
	}
	others, strays, err := groups.Tables(ctx, s.db, events, recalls)
	if err != nil {
		return nil, 0, err
	}
	reactions, counts := reactionsOf(batch.Records)
	tables = []groups.Table{
		{Name: "messages", Rows: len(messages), Columns: messageColumns(messages)},
		{Name: "reactions", Rows: len(reactions), Columns: reactionColumns(reactions)},
		{Name: "reaction_counts", Rows: len(counts), Columns: countColumns(counts)},
		{Name: "events_refused", Rows: len(batch.Refusals), Columns: refusalColumns(batch.Refusals)},
	}
	return append(tables, others...), orphans + strays, nil
}

// WriteEvents is the second half, and what [Sink.Heads] tells of: it must
// follow the first half of the same batch and the second of the one before.
func (s *Sink) WriteEvents(ctx context.Context, batch Batch) error {
	if len(batch.Records) == 0 {
		return nil
	}
	rows := newEventRows(len(batch.Records))
	for _, record := range batch.Records {
		rows.add(record)
	}
	return s.insert(ctx, "events", rows.columns())
}

func (s *Sink) insert(ctx context.Context, table string, columns []clickhouse.Column) error {
	if err := s.db.Insert(ctx, table, columns); err != nil {
		return err
	}
	if s.afterInsert != nil {
		return s.afterInsert(table)
	}
	return nil
}

// fold returns the rows of messages that the records change, as they are
// after them, and the recalls whose message is there, and counts edits and
// recalls without one.
func (s *Sink) fold(ctx context.Context, records []Record) (changed []*message, recalls []groups.Recall, orphans int, err error) {
	stored, err := s.targets(ctx, records)
	if err != nil {
		return nil, nil, 0, err
	}
	rows := map[messageKey]*message{}
	add := func(m *message) {
		rows[m.key] = m
		changed = append(changed, m)
	}
	for _, record := range records {
		e := record.Event
		if p, ok := e.Payload.(streams.MessagePosted); ok {
			add(posted(e, p))
			continue
		}
		key, ok := target(e)
		if !ok {
			continue
		}
		m, known := rows[key]
		if !known {
			if m = stored[key]; m == nil {
				orphans++
				continue
			}
		}
		if _, ok := e.Payload.(streams.MessageRecalled); ok {
			recalls = append(recalls, groups.Recall{Event: e, Author: m.user})
		}
		apply := m.apply
		if s.unguarded {
			apply = m.applyUnguarded
		}
		if apply(e) && !known {
			add(m)
		}
	}
	return changed, recalls, orphans, nil
}

// targets reads the rows that edits and recalls of the records are about,
// where the records do not hold the message itself.
func (s *Sink) targets(ctx context.Context, records []Record) (map[messageKey]*message, error) {
	here := map[messageKey]bool{}
	var missing []messageKey
	for _, record := range records {
		e := record.Event
		if _, ok := e.Payload.(streams.MessagePosted); ok {
			here[messageKey{channelKey{e.Group, e.Channel}, uint64(e.N)}] = true
		} else if key, ok := target(e); ok && !here[key] {
			here[key] = true
			missing = append(missing, key)
		}
	}
	stored := make(map[messageKey]*message, len(missing))
	const query = "SELECT " + messageFields + " FROM messages FINAL" +
		" WHERE (`group`, channel, n) IN {keys:Array(Tuple(String, String, UInt64))}"
	for chunk := range slices.Chunk(missing, keysPerQuery) {
		var keys clickhouse.Tuples
		for _, k := range chunk {
			keys.Add(string(k.group), string(k.channel), k.n)
		}
		err := s.db.Query(ctx, query, clickhouse.Params{"keys": &keys}, func(scan func(...any) error) error {
			m, err := scanMessage(scan)
			if err == nil {
				stored[m.key] = m
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read %s messages to change: %w", strconv.Itoa(len(chunk)), err)
		}
	}
	return stored, nil
}

// messageFields are what scanMessage reads. Times come as numbers: exact, and
// without the driver's calendar.
const messageFields = "`group`, channel, n, v, seq, toUnixTimestamp64Milli(ts), user, client_id, type, body, body_json," +
	" mentions, mention_all, mention_roles, reply_to, priority, expires, toUnixTimestamp64Milli(edited_ts), recalled, state_v"

func scanMessage(scan func(...any) error) (*message, error) {
	m := &message{}
	var group, channel string
	var recalled uint8
	err := scan(&group, &channel, &m.key.n, &m.v, &m.seq, &m.ts, &m.user, &m.clientID, &m.kind, &m.body, &m.bodyJSON,
		&m.mentions, &m.mentionAll, &m.mentionRoles, &m.replyTo, &m.priority, &m.expires, &m.editedTS, &recalled, &m.stateV)
	m.key.group, m.key.channel, m.recalled = streams.Group(group), streams.Channel(channel), recalled == 1
	return m, err
}
