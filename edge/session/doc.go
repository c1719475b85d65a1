// Package session is the WebSocket connections of an edge: their commands, their
// subscriptions, their end.
//
//	socket ─▶ Input ─▶ lane per group ─▶ owner        writes, in order
//	            │           └─────────▶ hub          subscribe, unsubscribe, in order
//	            │           └─▶ reads, beside        pull, history, group, members
//	            ▼
//	socket ◀─ shard ◀─ replies
//	            └───── rings, behind a cursor per subscription
//
// # Shards
//
// There are as many shards as cores, and each session belongs to one for good. A
// shard's goroutine alone writes to its sessions, closes them and keeps their
// time in one wheel; a second one reads them (package transport). So a session at
// rest is a struct and a socket: no goroutine, no buffer, no timer.
//
//	hub ─▶ Wake, once per channel and event ─▶ audience ─▶ pass ─▶ a write per session
//	answers, pongs, ends ─▶ signal ─▶ ready ─▶ serve
//
// # The ring is the queue
//
// A session keeps no events. The hub wakes the shard; a pass over the channel's
// audience joins what lies behind the members' cursor once, in finished frames,
// and writes those bytes to every member who stands there. Who stands elsewhere,
// follows by hints, or may know more or less than everybody is served by itself.
//
// A socket that takes no more leaves at most the rest of one frame behind, and
// its session is passed over until it does. Who has fallen out of the ring by
// then is told the gap and goes on with the oldest event held: a slow reader
// costs its own socket and nothing else.
//
// # Order
//
// Commands on one group go through one lane. At most one request of a lane is
// under way; the writes that queue up meanwhile go as one batch next. A read
// starts when the writes before it are answered. The answer to subscribe
// passes through the shard, which arms the subscription behind it: nothing of
// the channel is delivered before, and everything above the answer's v after.
//
// Subscriptions end, and change what they may show, while a pass is under way. So
// the shard takes events first and looks at the subscription's state and sight
// then: what the hub appended after a change is never delivered as before it.
//
// # Bounds
//
//	maxOutstanding  256 commands  taken and not answered on the socket; then nothing more is read
//	maxReads        4 commands    with large answers; further ones wait in their lane
//	maxFollows      1,000         subscriptions; further ones are refused
//	maxSignals      16 frames     signals for the client; further ones are dropped
//	signalRate      100 a second  signals of the client; what is above is passed on to nobody
//	messageBytes    64 KiB        of frames joined in one write
//
// # Locks
//
// A view's lock may be held when session.mu is taken, session.mu when shard.mu
// is. The shard waits for no network and for nothing that does.
//
// # End
//
// The first to see a reason closes with its code ([session.close]); the shard
// sends what is answered and then the close frame, nobody else, and waits
// lingerFor for the peer's. A peer that does not drain its socket is slow for
// writeDeadline, then it is gone; one that drains it and says nothing for two
// heartbeats is silent (4408).
package session
