// Package eventlog appends to a partition's streams and reads them.
//
// # Writing
//
// [Writer.Fence] puts up a fence and starts a [Term]. Each append of the term
// names that fence and the sequence it expects to get, so the stream refuses
// what comes from a term that is over, and a refused append takes all that
// were sent after it along: there are no holes.
//
// How appends travel depends on what the stream is ([policy]): on one node
// with lazy syncing, pipelined single messages; on replicated streams atomic
// batches, all that is queued, one in flight. Records that belong together
// ([Term.Append] with several) always go as one atomic batch.
//
// A write has three outcomes: stored, refused, unknown. Refused and unknown
// both end the term ([Ack.Err]): whoever owns it fences again and reads back.
//
// # Reading
//
// [Reader] reads by sequence with JetStream's direct gets, many messages to a
// request. It keeps no state on the server, so there is nothing to clean up
// and a read after a restart is the same read. Only [Reader.Replay], for
// millions of messages, has a consumer for as long as it lasts.
package eventlog
