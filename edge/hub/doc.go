// Package hub follows the groups this process has readers in and fans their
// events out to subscriptions.
//
//	throng.live.<p>.<group>.>  ─┐
//	throng.live.<p>.@fence     ─┤ feed (one goroutine    ┌─▶ ring of each channel
//	throng.beacon.<p>          ─┘  per partition) ─▶ View ┤
//	                                  (follow) ▲          └─▶ wakes subscriptions
//	     log, ClickHouse ── backfill ──────────┘ fill
//
// # Views
//
// A [View] is one group as this process follows it. It opens on first use:
// first the live subscription, then a snapshot from the partition's owner,
// then what came in between. However many sessions want it, it opens once. A
// view nobody uses is closed after a while.
//
// # Channels
//
// What belongs and what is missing is decided by package follow, which the
// simulation runs as well. Every event of a channel goes through
// [streams.Judge]. The next one goes to
// the ring and wakes the subscriptions; an event ahead of its turn makes a
// fill, which reads what is missing from the log while later events are held.
// Live messages travel at most once, so a beacon tells once a second where
// channels stand; a channel that stays behind it is filled as well, and after
// a reconnect to NATS all views compare with their owner.
//
// # Read your writes
//
// Whoever writes through this process tells the view the version of the
// answer ([Hub.Written]); every later read of that channel through this
// process waits until the view has come that far.
//
// # Membership
//
// Who may read is asked from the owner once per user and kept current by the
// group's own events. When a member leaves, the subscriptions end at that
// event.
//
// # Locks
//
// Hub.mu guards the table of views and who uses them, View.mu all of a view.
// Hub.mu may be taken under View.mu, never the other way round. Nothing is
// asked over the network under either.
package hub
