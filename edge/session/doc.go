// Package session is one WebSocket connection: its commands, its
// subscriptions, its end.
//
//	socket ─▶ reader ─▶ lane per group ─▶ owner        writes, in order
//	             │            └─────────▶ hub          subscribe, unsubscribe, in order
//	             │            └─▶ reads, beside        pull, history, group, members
//	             ▼
//	socket ◀─ writer ◀─ replies
//	             └───── rings, behind a cursor per subscription
//
// # The ring is the queue
//
// A session keeps no events. The hub marks a subscription as dirty; the writer
// takes what lies behind its cursor from the channel's ring and writes the
// ready-made bytes. Who has fallen out of the ring is told the gap and goes on
// with the oldest event held, so a slow reader costs its own socket and nothing
// else.
//
// # Order
//
// Commands on one group go through one lane. At most one request of a lane is
// under way; the writes that queue up meanwhile go as one batch next. A read
// starts when the writes before it are answered. The answer to subscribe
// passes through the writer, which arms the subscription behind it: nothing of
// the channel is delivered before, and everything above the answer's v after.
//
// # Bounds
//
//	maxOutstanding  256 commands  taken and not answered on the socket; then the reader stops reading
//	maxReads        4 commands    with large answers; further ones wait in their lane
//	maxFollows      1,000         subscriptions; further ones are refused
//	maxSignals      16 frames     signals for the client; further ones are dropped
//	signalRate      100 a second  signals of the client; what is above is passed on to nobody
//	messageBytes    64 KiB        of frames joined in one WebSocket message
//
// # End
//
// The first to see a reason closes with its code ([session.close]); the writer
// sends what is answered and then the close frame, nobody else. A peer that
// does not drain its socket is slow for writeDeadline, then it is gone; one
// that drains it and says nothing for two heartbeats is silent (4408).
package session
