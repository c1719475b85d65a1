// Package history is the read model of what was said: every event, and every
// message as it reads now, with its reactions. It has two sides that meet only
// in ClickHouse.
//
//	projector ──▶ Sink ──▶ 1. messages         the current state, one row per (group, channel, n)
//	                          reactions        who reacted with what, and how many did
//	                          members, …       what groups are beside: package groups
//	                          events_refused   what could not be read
//	                       2. events           one row per (group, channel, v); the checkpoint
//	                                  ▲
//	edges ──▶ Service ── reads ───────┘
//
// # Writing
//
// [Sink.Write] stores a batch in that order, and how far a partition is stored
// is the highest seq in events ([Sink.Heads]), nowhere else. So a crash
// between two inserts repeats work and never loses it, and repeating is
// harmless: every row is a function of the log alone. An event's row is the
// event. A reaction's is the event too, which carries the emoji's count after it.
// A message's row with state_v = x is the fold of the message's events
// up to version x ([message]), wherever it was made and in whatever batches;
// of two rows the higher state_v wins, and an event at or below the state_v
// of the row it would change is in it already.
//
// Therefore two projectors may work on one partition at once, and one that
// stood still for an hour may go on: neither can put anything back.
//
// # Reading
//
// [Service] answers streams.QueryEvents, streams.QueryHistory and
// streams.QueryMembers. History is complete through the newest event of the
// channel, read before the messages and reactions are: those are stored before
// their events. Events of recalled messages are answered without their body,
// recalled messages without their reactions.
//
// When ClickHouse is away the answer is history_unavailable, and soon: after a
// failure the next second's queries are answered without trying.
package history
