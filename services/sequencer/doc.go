// Package sequencer runs the one writer of a partition.
//
// # Terms
//
// A sequencer waits for the partition's lease, then serves a term:
//
//	acquire lease ─▶ put up fence ─▶ read snapshot, fold log up to the fence ─▶ serve
//	      ▲                                                                     │
//	      └───────── another's lease · fenced · outcome unknown ◀───────────────┘
//
// The lease only decides who challenges. The fence decides who may write: the
// stream refuses appends that stand on an older one, so a paused or cut-off
// former owner can do no harm, and nothing has to be waited for. A lease that
// can't be renewed ends nothing; [lease] says what it costs.
//
// # Serving
//
// One goroutine owns all state of a term. For each command it decides on the
// newest state ([group.State.Decide]), numbers and folds the events, and hands
// them to the log without waiting. Answers wait: a batch of commands is
// answered when everything up to its last event is stored. Reads and refusals
// wait the same way, because they were decided on state that was not stored yet,
// and while the lease is not trusted they wait for an append of their own.
//
// # Loading
//
// A command may need records that are not in memory, and the message it is
// about. They are fetched beside the deciding; the batch waits, and so do later
// ones of the same users in the same groups, in their order (load.go). Above a
// bound, what was not used lately is dropped again, once its record is stored
// (evict.go). So a term begins with the core of the snapshot alone.
//
// # Presence
//
// Edges tell a term who is in its groups ([group.Around]); it forgets that with
// its end. Departures of those who are gone, and the end of rooms nobody is in,
// are batches of the term's own: they are decided like any other, against the
// state and the presence of that moment, and given up with the term. An owner
// that can't know takes nobody for gone: in its first seconds, and while it does
// not hear itself.
//
// # When a write fails
//
// A refused or unknown append ends the term. The next one folds the log anew,
// and every batch that was not answered is decided again, in order: what did
// reach the log is recognised by its client id and answered from there. If
// another owner stood in between, they are refused instead: their senders may
// have turned to it and gone on.
//
// # When the log is gone
//
// A log that ends before what the snapshot has seen of it was lost or restored
// from an older backup. No term serves it: numbers would be given out twice,
// with other content. [Rebuild] is what makes a new one.
package sequencer
