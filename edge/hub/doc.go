// Package hub follows the groups this process has readers in and fans their
// events out to subscriptions.
//
//	throng.live.<p>.<group>.>  ─┐
//	throng.live.<p>.@fence     ─┤ feed (one goroutine    ┌─▶ ring of each channel
//	throng.beacon.<p>          ─┘  per partition) ─▶ View ┤
//	                                  (follow) ▲          └─▶ wakes the crowds of its subscriptions
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
// the ring and wakes each [Crowd] of subscriptions once, which takes it from the
// channel's [Source] for all of them; an event ahead of its turn makes a
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
// # Who sees what
//
// What a user may read is asked from the owner once and kept current by the
// group's own events: role, join, mute, user groups, and the private channels
// that name them. An event changes that before it is in the ring, so that
// nobody takes from there what they must not see.
//
// Every subscription holds an immutable [sight] of it. An entry of the ring
// says which private channel it is about; who does not see that is given the
// hidden form. Ordinary channels have no sight and nothing to compare; who has
// one is asked whether the form for everybody will do. When a
// member leaves, is taken out of a private channel, or group or channel are
// deleted, the subscriptions end at that event.
//
// # Hidden messages
//
// What a user hides for themselves is read when they are admitted and kept as
// long as they are remembered. The edge that writes it tells the others at once,
// and each looks for what was written all few seconds (package hidden). Since it
// only grows, it does not matter in which order it comes. Events with the words
// of such a message have the hidden form for this user, and history leaves the
// message out.
//
// # Attributes
//
// A channel's attributes are loaded when somebody first asks, once however many
// ask, and kept current from the channel's events. Above a budget of bytes the
// sets asked for longest ago are dropped.
//
// # Signals and presence
//
// Signals pass beside the log on a subject the view hears anyway, and are the
// first to be dropped. Each second the owners are told whose first subscription
// in a group began or whose last one ended here, every ten seconds and when
// they ask, of everybody.
//
// # Locks
//
// Hub.mu guards the table of views and who uses them, View.mu all of a view; how
// far a channel is can be asked under any lock.
// Hub.mu may be taken under View.mu, never the other way round. Nothing is
// asked over the network under either.
package hub
