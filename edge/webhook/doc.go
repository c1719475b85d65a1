// Package webhook tells a service of the deployment's own what happened, after it
// happened: every event of every group, as an HTTP POST.
//
//	LOG_<p> ── durable consumer per partition ──▶ POST {"events":[…]} ──▶ 2xx: acknowledged
//	                                                   │
//	                                                   └─▶ anything else: again, later and later
//
// Events have the flat form clients see, in the order of the partition's log, and
// so of every channel. A batch is up to [BatchEvents] events that wait at the
// moment; the next one of a partition is sent when the one before was taken. So
// what is delivered is in order, and at least once: a receiver recognises what it
// has by group, channel and v. Header Throng-Delivery is the same for each attempt
// of the same batch, and the body is signed as the hook's questions are.
//
// Several instances with the same name share the work; how far they are is kept
// in JetStream. A receiver that is away longer than the log's hot window misses
// what was purged meanwhile; that is counted.
package webhook
