package groups

import (
	"fmt"
	"testing"

	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// lateRival makes a channel and names it twice, and then has a rival, which had
// stood still, write the first name once more. It returns how the channel is
// stored.
func lateRival(t *testing.T, unguarded bool) (stored string) {
	t.Helper()
	db := logtest.DB(t, enginetest.DSN(t))
	log := logtest.New(0, 1, 0)
	log.Happens(1, "g", "@", streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{
		Channel: "c", Kind: "thread", Name: "first", Parent: &streampb.Parent{Channel: "general", N: 7},
	}})
	for i, name := range []string{"second", "third"} {
		log.Happens(streams.Seq(i)+2, "g", "@", streams.ChannelUpdated{ChannelUpdated: &streampb.ChannelUpdated{
			Channel: "c", Name: name, Settings: &streampb.ChannelSettings{Write: streampb.Role_ROLE_ADMIN, ReadGroups: []string{"red"}, Position: 3},
		}})
	}
	for _, batch := range [][]*streams.Event{log.Events[:1], log.Events[1:2], log.Events[2:], log.Events[1:2]} {
		fold := &channelFold{db: db, unguarded: unguarded}
		rows, orphans, err := fold.fold(t.Context(), batch)
		if err != nil || orphans != 0 {
			t.Fatal(orphans, err)
		}
		if len(rows) > 0 {
			if err := db.Insert(t.Context(), "channels", channelColumns(rows)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return text(t, db, "SELECT concat(kind, ' ', name, ' ', parent_channel, ' ', toString(parent_n), ' ', settings, ' ', toString(state_v)) FROM channels FINAL")
}

func text(t *testing.T, db *clickhouse.DB, query string) (s string) {
	t.Helper()
	err := db.Query(t.Context(), query, nil, func(scan func(...any) error) error {
		var line string
		err := scan(&line)
		s += line
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestALateRivalPutsNoChannelBack(t *testing.T) {
	const want = `thread third general 7 {"write":"admin","read_groups":["red"],"position":3} 3`
	if got := lateRival(t, false); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := lateRival(t, true); got == want {
		t.Error("an old change was folded over a newer one and nobody noticed")
	}
}

// gone makes a channel with two threads and another with one, and deletes the
// first, in batches that end after these events. It returns what is deleted.
func gone(t *testing.T, ends ...int) string {
	t.Helper()
	db := logtest.DB(t, enginetest.DSN(t))
	log := logtest.New(0, 1, 0)
	seq := streams.Seq(0)
	happens := func(p streams.Payload) {
		seq++
		log.Happens(seq, "g", "@", p)
	}
	create := func(name, parent string) {
		p := &streampb.ChannelCreated{Channel: name, Kind: "public", Name: name}
		if parent != "" {
			p.Kind, p.Parent = "thread", &streampb.Parent{Channel: parent}
		}
		happens(streams.ChannelCreated{ChannelCreated: p})
	}
	create("c", "")
	create("d", "")
	create("c1", "c")
	create("d1", "d")
	create("c2", "c")
	happens(streams.ChannelDeleted{ChannelDeleted: &streampb.ChannelDeleted{Channel: "c"}})
	happens(streams.ChannelUpdated{ChannelUpdated: &streampb.ChannelUpdated{Channel: "d", Name: "D"}})
	from := 0
	for _, end := range append(ends, len(log.Events)) {
		tables, orphans, err := Tables(t.Context(), db, log.Events[from:end], nil)
		if err != nil || orphans != 0 {
			t.Fatal(orphans, err)
		}
		for _, table := range tables {
			if err := db.Insert(t.Context(), table.Name, table.Columns); err != nil {
				t.Fatal(err)
			}
		}
		from = end
	}
	return text(t, db, "SELECT concat(channel, ':', toString(deleted), ' ') FROM channels FINAL ORDER BY channel")
}

func TestThreadsGoWithTheirParent(t *testing.T) {
	const want = "c:1 c1:1 c2:1 d:0 d1:0 "
	for _, ends := range [][]int{{}, {5}, {4}, {3, 6}, {1, 2, 3, 4, 5, 6}} {
		if got := gone(t, ends...); got != want {
			t.Errorf("in batches that end after %v: %s, want %s", ends, got, want)
		}
	}
}

func TestAChangeOfAnUnknownChannelIsCounted(t *testing.T) {
	db := logtest.DB(t, enginetest.DSN(t))
	log := logtest.New(0, 1, 0)
	log.Happens(1, "g", "@", streams.ChannelDeleted{ChannelDeleted: &streampb.ChannelDeleted{Channel: "never"}})
	tables, orphans, err := Tables(t.Context(), db, log.Events, nil)
	if err != nil || orphans != 1 || len(tables) != 0 {
		t.Errorf("got %d tables, %d orphans, %v", len(tables), orphans, err)
	}
}

func TestSettingsAreWhatIsSet(t *testing.T) {
	for _, test := range []struct {
		settings *streampb.Settings
		want     string
	}{
		{nil, "{}"},
		{&streampb.Settings{}, "{}"},
		{
			&streampb.Settings{Join: "invite", MuteAll: true, SlowModeMs: 5000, MentionAll: streampb.Role_ROLE_MODERATOR},
			`{"join":"invite","mute_all":true,"slow_mode_ms":5000,"mention_all":"moderator"}`,
		},
	} {
		if got := SettingsJSON(test.settings); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	if got, want := SettingsJSON(&streampb.ChannelSettings{Category: `a "b"`}), fmt.Sprintf(`{"category":%q}`, `a "b"`); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
