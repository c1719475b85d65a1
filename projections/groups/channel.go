package groups

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
)

// keysPerQuery bounds the text of one query's keys: 130 bytes each at most.
const keysPerQuery = 1000

type channelKey struct {
	group   streams.Group
	channel streams.Channel
}

// channel is a row of the table channels.
type channel struct {
	key           channelKey
	kind, name    string
	parentChannel string
	parentN       uint64
	settings      string // JSON
	deleted       bool
	created       int64 // ms since 1970 UTC
	user          string
	// stateV is the version in @ of the newest event folded in.
	// Invariant: the row is a function of the log up to stateV.
	stateV uint64
}

func created(e *streams.Event, p streams.ChannelCreated) *channel {
	return &channel{
		key:  channelKey{e.Group, streams.Channel(p.GetChannel())},
		kind: p.GetKind(), name: p.GetName(), parentChannel: p.GetParent().GetChannel(), parentN: p.GetParent().GetN(),
		settings: SettingsJSON(p.GetSettings()), created: e.TS, user: string(e.User), stateV: uint64(e.V),
	}
}

// apply folds a change in and reports whether the row changed.
func (c *channel) apply(e *streams.Event) bool {
	if uint64(e.V) <= c.stateV {
		return false
	}
	return c.applyUnguarded(e)
}

func (c *channel) applyUnguarded(e *streams.Event) bool {
	switch p := e.Payload.(type) {
	case streams.ChannelUpdated:
		c.name, c.settings = p.GetName(), SettingsJSON(p.GetSettings())
	case streams.ChannelDeleted:
		c.deleted = true
	default:
		return false
	}
	c.stateV = max(c.stateV, uint64(e.V))
	return true
}

// changedChannel returns which channel an event changes.
func changedChannel(e *streams.Event) (channelKey, bool) {
	switch p := e.Payload.(type) {
	case streams.ChannelUpdated:
		return channelKey{e.Group, streams.Channel(p.GetChannel())}, true
	case streams.ChannelDeleted:
		return channelKey{e.Group, streams.Channel(p.GetChannel())}, true
	}
	return channelKey{}, false
}

// channelFold makes the rows of the table channels. An update carries neither
// kind nor parent, so it is folded over the row that is stored.
type channelFold struct {
	db *clickhouse.DB

	unguarded bool // a test breaks it to show that it is noticed: fold again what is folded
}

// fold returns the channels the events make or change, as they are after them.
func (f *channelFold) fold(ctx context.Context, events []*streams.Event) (changed []*channel, orphans int, err error) {
	stored, err := f.stored(ctx, events)
	if err != nil {
		return nil, 0, err
	}
	rows := map[channelKey]*channel{}
	add := func(c *channel) {
		rows[c.key] = c
		changed = append(changed, c)
	}
	for _, e := range events {
		if p, ok := e.Payload.(streams.ChannelCreated); ok {
			add(created(e, p))
			continue
		}
		key, ok := changedChannel(e)
		if !ok {
			continue
		}
		c, known := rows[key]
		if !known {
			if c = stored[key]; c == nil {
				orphans++
				continue
			}
		}
		apply := c.apply
		if f.unguarded {
			apply = c.applyUnguarded
		}
		if apply(e) && !known {
			add(c)
		}
		if _, ends := e.Payload.(streams.ChannelDeleted); ends {
			for _, thread := range threadsOf(key, rows, stored) {
				if thread.goWith(e) && rows[thread.key] == nil {
					add(thread)
				}
			}
		}
	}
	return changed, orphans, nil
}

// goWith deletes a thread whose parent an event deletes: it has no event of its
// own for that. It reports whether the row changed.
func (c *channel) goWith(e *streams.Event) bool {
	if c.deleted || uint64(e.V) <= c.stateV {
		return false
	}
	c.deleted, c.stateV = true, uint64(e.V)
	return true
}

// threadsOf returns the threads of a channel, as rows has them, else as stored,
// by name.
func threadsOf(parent channelKey, rows, stored map[channelKey]*channel) (threads []*channel) {
	for _, all := range []map[channelKey]*channel{rows, stored} {
		for key, c := range all {
			newer := rows[key]
			if key.group == parent.group && c.parentChannel == string(parent.channel) && (newer == nil || newer == c) {
				threads = append(threads, c)
			}
		}
	}
	slices.SortFunc(threads, func(a, b *channel) int { return strings.Compare(string(a.key.channel), string(b.key.channel)) })
	return threads
}

// stored reads the rows the events change, where they do not make them, and the
// threads of those they delete.
func (f *channelFold) stored(ctx context.Context, events []*streams.Event) (map[channelKey]*channel, error) {
	here := map[channelKey]bool{}
	var missing, deleted []channelKey
	for _, e := range events {
		if p, ok := e.Payload.(streams.ChannelCreated); ok {
			here[channelKey{e.Group, streams.Channel(p.GetChannel())}] = true
		} else if key, ok := changedChannel(e); ok && !here[key] {
			here[key] = true
			missing = append(missing, key)
		}
		if p, ok := e.Payload.(streams.ChannelDeleted); ok {
			deleted = append(deleted, channelKey{e.Group, streams.Channel(p.GetChannel())})
		}
	}
	stored := make(map[channelKey]*channel, len(missing))
	if err := f.read(ctx, "channel", missing, stored); err != nil {
		return nil, err
	}
	return stored, f.read(ctx, "parent_channel", deleted, stored)
}

// read adds the stored rows whose group and one more column are as one of keys.
func (f *channelFold) read(ctx context.Context, column string, of []channelKey, stored map[channelKey]*channel) error {
	query := "SELECT `group`, channel, kind, name, parent_channel, parent_n, settings, deleted = 1," +
		" toUnixTimestamp64Milli(created), user, state_v FROM channels FINAL" +
		" WHERE (`group`, " + column + ") IN {keys:Array(Tuple(String, String))}"
	for chunk := range slices.Chunk(of, keysPerQuery) {
		var keys clickhouse.Tuples
		for _, k := range chunk {
			keys.Add(string(k.group), string(k.channel))
		}
		err := f.db.Query(ctx, query, clickhouse.Params{"keys": &keys}, func(scan func(...any) error) error {
			c := &channel{}
			var group, name string
			var deleted uint8
			err := scan(&group, &name, &c.kind, &c.name, &c.parentChannel, &c.parentN, &c.settings, &deleted, &c.created, &c.user, &c.stateV)
			c.key, c.deleted = channelKey{streams.Group(group), streams.Channel(name)}, deleted == 1
			stored[c.key] = c
			return err
		})
		if err != nil {
			return fmt.Errorf("read %d channels to change: %w", len(chunk), err)
		}
	}
	return nil
}

func channelColumns(channels []*channel) []clickhouse.Column {
	return []clickhouse.Column{
		clickhouse.ColumnOf("group", channels, func(c *channel) string { return string(c.key.group) }),
		clickhouse.ColumnOf("channel", channels, func(c *channel) string { return string(c.key.channel) }),
		clickhouse.ColumnOf("kind", channels, func(c *channel) string { return c.kind }),
		clickhouse.ColumnOf("name", channels, func(c *channel) string { return c.name }),
		clickhouse.ColumnOf("parent_channel", channels, func(c *channel) string { return c.parentChannel }),
		clickhouse.ColumnOf("parent_n", channels, func(c *channel) uint64 { return c.parentN }),
		clickhouse.ColumnOf("settings", channels, func(c *channel) string { return c.settings }),
		clickhouse.ColumnOf("deleted", channels, func(c *channel) uint8 { return clickhouse.Flag(c.deleted) }),
		clickhouse.ColumnOf("created", channels, func(c *channel) time.Time { return clickhouse.Time(c.created) }),
		clickhouse.ColumnOf("user", channels, func(c *channel) string { return c.user }),
		clickhouse.ColumnOf("state_v", channels, func(c *channel) uint64 { return c.stateV }),
	}
}
