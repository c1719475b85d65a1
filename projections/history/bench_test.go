package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/groups"
	"github.com/throng/throng/projections/logtest"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// side is one of the things a benchmark compares.
type side struct {
	name string
	work func(i int)
}

// medians runs all sides in turns, b.N times, which should be some hundred, and
// reports their medians: what else the machine does troubles all of them alike.
func medians(b *testing.B, sides []side) {
	b.Helper()
	took := make([][]time.Duration, len(sides))
	for b.Loop() {
		for k, s := range sides {
			begun := time.Now()
			s.work(len(took[k]))
			took[k] = append(took[k], time.Since(begun))
		}
	}
	for k, s := range sides {
		slices.Sort(took[k])
		b.ReportMetric(float64(took[k][len(took[k])/2].Microseconds())/1000, s.name+"-p50-ms")
	}
}

// BenchmarkHistoryPage reads pages of 50 of a channel of 50,000 messages, each
// tenth with 20 reactions of 4 emojis and one with 50,000.
//
//	go test ./projections/history -run '^$' -bench HistoryPage -benchtime 300x
func BenchmarkHistoryPage(b *testing.B) {
	const messages, loved = 50_000, 49_990
	s := &Sink{db: logtest.DB(b, enginetest.DSN(b))}
	log, seq := logtest.New(0, 1, 0), streams.Seq(0)
	flush := func() {
		if _, err := s.Write(b.Context(), Batch{Records: records(log.Events)}); err != nil {
			b.Fatal(err)
		}
		log.Events = nil
	}
	react := func(n uint64, emojis, users int) {
		for i := range users {
			seq++
			log.React(seq, "g", "c", n, fmt.Sprint("emoji", i%emojis), fmt.Sprint("user", i))
		}
	}
	for n := range uint64(messages) {
		seq++
		log.Message(seq, "g", "c", fmt.Appendf(nil, "%-100d", n))
		if n%10 == 0 {
			react(n+1, 4, 20)
		}
		if len(log.Events) >= 20_000 {
			flush()
		}
	}
	react(loved, 1, 50_000)
	flush()
	service := &Service{db: s.db}
	page := func(user string, before func(i int) uint64) func(i int) {
		return func(i int) {
			q := &streampb.HistoryQuery{Group: "g", Channel: "c", Before: before(i), Limit: 50, User: user}
			page, err := readPage(b, service, q)
			if err != nil || len(page.Messages) != 50 || (user == "-") != (reactionsIn(page) == "") {
				b.Fatal(len(page.Messages), reactionsIn(page), err)
			}
		}
	}
	somewhere := func(i int) uint64 { return uint64(5_000 + i*7919%40_000) }
	newest := func(int) uint64 { return messages + 1 }
	medians(b, []side{
		{"messages-alone", page("-", somewhere)}, {"nobody", page("", somewhere)}, {"user", page("user3", somewhere)},
		{"newest-messages-alone", page("-", newest)}, {"newest-user", page("user3", newest)},
	})
}

// readPage reads as Service.history does; the user "-" leaves the reactions out.
func readPage(b *testing.B, s *Service, q *streampb.HistoryQuery) (*streampb.HistoryPage, error) {
	if q.GetUser() == "-" {
		return s.messages(b.Context(), channelKey{"g", "c"}, q, 1<<20)
	}
	page, err := s.messages(b.Context(), channelKey{"g", "c"}, q, 1<<20)
	if err != nil {
		return nil, err
	}
	return page, s.react(b.Context(), channelKey{"g", "c"}, q.GetUser(), page, 1<<20)
}

// BenchmarkMembersPage reads pages of a group of a million members, one in
// 5,000 of them a moderator and one in 20 changed since.
//
//	go test ./projections/history -run '^$' -bench MembersPage -benchtime 100x
func BenchmarkMembersPage(b *testing.B) {
	db := logtest.DB(b, enginetest.DSN(b))
	const insert = "INSERT INTO members (`group`, user, role, joined, seq) SELECT 'g', concat('user', leftPad(toString(%s), 7, '0'))," +
		" if(number %% 5000 = 0, 'moderator', if(number %% %d = 0, '', 'member')), now64(3), %d + number FROM numbers(%d)"
	for i := range 20 {
		statement := fmt.Sprintf(insert, fmt.Sprintf("number * 20 + %d", i), 1_000_000, i*50_000, 50_000)
		if i == 19 { // the last parts lie beside the others
			for j := range 5 {
				later := fmt.Sprintf(insert, "rand() % 1000000", 3, 2_000_000+j*10_000, 10_000)
				if err := db.Exec(b.Context(), later); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := db.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	s := &Service{db: db}
	page := func(limit uint32, role streampb.Role) func(i int) {
		return func(i int) {
			q := &streampb.MemberQuery{Group: "g", Limit: limit, Role: role}
			if role == streampb.Role_ROLE_NONE {
				q.After = fmt.Sprintf("user%07d", i*7919%990_000)
			}
			list, err := groups.Members(b.Context(), s.db, q, 1<<20)
			if err != nil || len(list.GetMembers()) < int(limit)*3/4 {
				b.Fatal(len(list.GetMembers()), err)
			}
		}
	}
	medians(b, []side{
		{"100", page(100, streampb.Role_ROLE_NONE)}, {"1000", page(1000, streampb.Role_ROLE_NONE)},
		{"100-moderators", page(100, streampb.Role_ROLE_MODERATOR)},
	})
}
