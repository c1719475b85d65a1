// Package million measures a community of a million members end to end: real
// processes (nats-server, two services, an edge, projections, ClickHouse) on
// this machine, members brought in over HTTP by a back end, owners killed with
// kill -9, sends of members nobody has in memory, joins and leaves, and pages of
// the list of members. It prints what it found and ends.
//
//	task bench:million
//
// Everything that is measured is seen from outside, by an HTTP client on the
// same machine. It shares the processors with what it measures.
package million
