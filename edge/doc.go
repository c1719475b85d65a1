// Package edge is the push side: it holds the clients' connections, takes
// their commands and delivers events.
//
//	WebSocket ─▶ session ─┐            ┌─▶ owner ─▶ the group's partition
//	HTTP      ────────────┼─▶ command ─┤
//	NATS      ────────────┘            └─▶ hub ─▶ ring, backfill
//
// In reading order: wire (what clients say and hear), ring (the newest events
// of a channel), backfill (everything older), hub (groups followed live),
// command (what a command does), transport (sockets and frames), session (the
// WebSockets), describe (all that clients say and hear, for programs), and here
// the routes and the life of it all.
//
// An edge keeps nothing that is not somewhere else: any number of them may
// run, and one that dies costs its clients a reconnect.
//
// # When neighbours fail
//
//   - The owner of a partition away: writes are sent again for 5 s, then
//     refused with unavailable; what is in memory and in the log is still read.
//   - NATS away: the same, and sessions stay. Afterwards every group is
//     compared with its owner and what was missed is filled from the log.
//   - ClickHouse away: what the log holds is served, the rest refused with
//     history_unavailable.
package edge
