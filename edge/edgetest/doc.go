// Package edgetest gives tests an edge over a real nats-server, with stand-ins
// for its neighbours: an owner that takes what is asked without judging who
// may, and a query service that answers from what that owner wrote. The real
// ones live in packages an edge must not import; the tests of ops run all
// together.
package edgetest
