// Package backfill reads what a channel's ring no longer holds: one range, one
// answer, wherever the events are now.
//
//	      ClickHouse            JetStream            ring
//	|-----------------------|------------------|--------------|
//	1              purged up to here                        head
//
// [Loader.Events] reads events by version. It looks for the first one in the
// partition's log by binary search over sequences (v grows with seq), reads
// forward page by page, and takes from the projections' query service what
// lies before the log's first. [Loader.History] reads messages by number in
// their current state, from whichever source holds all it takes to fold them;
// the three give the same answer.
//
// Every event goes through [streams.Judge], and an event that was written
// after a newer fence is left out, so no reader sees what a former owner wrote
// too late.
//
// Reads of the same range at the same time are one read. A read keeps at most
// the events it answers with, and one page of at most 1,000 while it folds.
//
// When the query service is away, what the log holds is still served; the
// rest is refused with history_unavailable.
package backfill
