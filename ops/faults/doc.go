// Package faults runs a whole deployment as real processes on loopback, breaks
// it at random from a seed, and proves from what everybody saw that it kept its
// promises all the same.
//
//	senders, readers (WebSocket)        nemesis: kill -9, freeze, restart, failpoints
//	     |            ^                    |  of any process below, and partitions, resets,
//	 edge-0        edge-1                  v  delay, loss on every link between them (~)
//	     ~            ~
//	 services-0    services-1     projections-0  ~  engine (ClickHouse)
//	     ~            ~                ~
//	 nats-0 ~~~~~~ nats-1 ~~~~~~ nats-2
//	     3 replicas, sync_interval: always
//
// One run: [Run] starts everything, lets senders and readers work, executes a
// plan made from the seed, heals, waits until every send is answered and every
// reader has everything, and then collects a [History]: each attempt of each
// send with its outcome, each subscription with what was delivered on it, the
// log as each NATS node has it, and what pull, history and ClickHouse say.
// [Check] is a pure function from that to a [Verdict]; its tests show that each
// kind of violation is found.
//
// Sends are also checked for linearizability, each channel as an append log;
// attributes as registers, where the product has them.
//
// Besides plans there are runs in which one thing happens: the power of all NATS
// nodes is cut, the files of one are harmed while it is down, ClickHouse is away
// for minutes while it alone has the oldest messages, or services are killed at
// each of six places in the code, for which the binary is built with the tag
// «failpoints». A [Control] switches a protection off: what it protects from must
// be found, or the checker proves nothing. [MeasureTakeovers] is no check but a
// measurement.
//
// What does not come back to work when the faults are over is a violation. What
// the driver itself could not do is an error of [Run], and no verdict.
//
// A run is random where the system is: a seed fixes the plan, not how the
// processes are scheduled. What failed is kept in a folder: the plan as it was
// carried out, the history, and what the processes printed.
//
// Every process ends when the driver does, also when the driver is killed.
package faults
