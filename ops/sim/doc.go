// Package sim is the whole system in a deterministic simulation. It has nothing
// but tests:
//
//	go test ./ops/sim                   1,000 seeds
//	go test ./ops/sim -sim.seeds 20000
//	go test ./ops/sim -run TestSimulation$ -sim.seed 17   one, with its trace
//
// # What is real
//
// What runs is the code that runs in production: services/group decides,
// services/sequencer takes over, numbers, appends, answers, snapshots, purges,
// renews its fence, drains; streams/eventlog writes and reads; edge/follow takes
// live events and says what is missing, edge/backfill reads it, edge/ring says
// what a slow reader has lost; the projections' loop reads, judges, gathers and
// writes.
//
// # What is simulated
//
// A partition has a log and a snapshot stream ([stream], compared with
// nats-server in a test of its own), processes with connections that lose,
// delay, repeat and reorder, a sink in ClickHouse's place whose inserts fail
// before or behind their being stored, and time. Two or three instances believe
// at times that they own the partition; clients send and repeat; edges with
// fast and slow readers come, go and lose their connection; two projectors
// write at once.
//
// # Determinism
//
// Everything happens in one goroutine's order, which follows from the seed.
// What asks over the network is a coroutine ([task]): it stands still until the
// scheduler, who may let anything else happen before, brings it its answer, or
// none. Nothing reads a clock, and no order comes from a map. A trace is hashed
// to prove it.
//
// # Checks
//
// Some hold at every moment, such as that nothing is purged that is not
// projected. Then faults end, the world comes to rest, and the log, folded
// from nothing, is compared with what every sender was told, every reader has
// seen, the sink holds, and an owner remembers. Each check is shown failing on
// a seeded defect.
package sim
