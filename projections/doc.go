// Package projections carries the log into ClickHouse and answers from there.
//
// [Projector] is the loop the read models share:
//
//	LOG_0 ─▶ reader: page, decode, judge ─┐
//	LOG_1 ─▶ reader: page, decode, judge ─┼─▶ gatherer ─▶ state ─▶ events
//	LOG_2 ─▶ reader: page, decode, judge ─┘   a batch     the two steps of writing,
//	                                                      each with a batch of its own
//
// One gatherer makes batches of all partitions, because ClickHouse likes few
// large inserts: how often it inserts does not depend on how many partitions
// there are. A batch is given away after Config.Linger, or later if the writer
// is busy: then it grows. Each stage holds one batch and a reader is at most
// one page ahead, so memory is bounded by the configuration.
//
// # Where it stands
//
// The position of a partition is the highest seq in ClickHouse, and nothing
// but ClickHouse knows it. The projector asks for it at the start and after
// every failure, and reads the log from there. So it owns no state that could
// be lost or disagree, several may run at once, and a failed insert needs no
// bookkeeping: whatever became of it, the next position tells.
//
//	            positions known            insert failed, ClickHouse away
//	opening ───────────────────▶ following ──────────────────────────────┐
//	   ▲                                                                  │
//	   └───────────────── pause, growing to a few seconds ◀───────────────┘
//
// # What it takes
//
// Every event is judged by [streams.Judge]: stale ones and ones that do not
// follow are counted and left out. The places of the channels, which that
// needs, are read from ClickHouse when a channel is first met, and the least
// recently used are let go once what they rest on is stored.
//
// Two kinds of damage must not stop a channel for good. An entry that is no
// event is set aside in events_refused, and the event after it, which names it
// as its prev, is taken. Where the log was purged before it was read, the
// events that follow are taken, what is missing is counted in
// throng_projection_lost_events_total, and an error is logged: that is the one
// way in which history loses something, and somebody's mistake.
//
// # When its neighbours fail
//
// ClickHouse away: it waits, the log grows, nothing is lost; one line in the
// log per outage. NATS away: the same. Neither ends [Projector.Run].
package projections
