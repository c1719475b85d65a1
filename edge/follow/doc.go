// Package follow decides what an edge takes of the logs it follows: which live
// event is a channel's next, what is missing and has to be read from the log,
// and what a beacon uncovers. It is pure: no I/O, no goroutine, no clock. Its
// owner hands in what came and does what it is told; nothing here knows of
// subscriptions, which are the fan-out's.
//
//	live event · fence ─┐                        ┌─▶ Deliver: the next event
//	beacon · answer ────┤  Group ─▶ Channel ─────┤
//	owner's snapshot ───┤  (judges by            ├─▶ Load: read what Missing says
//	what was loaded ────┘   streams.Judge)       └─▶ Stale: it belongs to nobody
//
// # One load at a time
//
// A channel that is behind has one load running. It begins with
// [Receiver.Load]; whoever runs it asks [Channel.Missing], reads that from the
// log, hands it to [Channel.Loaded], and again until nothing is missing. Events
// that come live meanwhile are held, and delivered when their turn comes.
//
// # Fences
//
// Live, an event of a term that a fence has ended is stale. What was loaded was
// judged against the fences in the log already: one heard live since says
// nothing against what stands before it.
//
// # Locks
//
// There are none. A [Group] and its channels have one owner, who may be many
// goroutines under one mutex; receivers are called under it.
package follow
