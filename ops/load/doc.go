// Package load drives a deployment as its users would and tells whether it
// kept its promises: what was sent, acknowledged and delivered, what was lost,
// doubled or out of order, and how long it took.
//
// Senders and readers are WebSocket connections of this process. A message's
// body carries when it was sent, on this process's clock, so latencies need no
// clocks that agree. Latency is from before the send is written to after the
// event is read by one reader.
package load
