// Package faults runs a whole deployment as real processes on loopback, breaks
// it at random from a seed, and proves from what everybody saw that it kept its
// promises all the same.
//
//	senders, readers (WebSocket)        nemesis: kill -9, freeze, restart
//	     |            ^                    |  of any process below
//	 edge-0        edge-1                  v
//	 services-0    services-1     projections-0     engine (ClickHouse)
//	     |            |                |                ^
//	 nats-0 ------ nats-1 ------ nats-2                 |
//	     3 replicas, sync_interval: always              |
//
// One run: [Run] starts everything, lets senders and readers work, executes a
// plan made from the seed, heals, waits until every send is answered and every
// reader has everything, and then collects a [History]: each attempt of each
// send with its outcome, each subscription with what was delivered on it, the
// log as each NATS node has it, and what pull, history and ClickHouse say.
// [Check] is a pure function from that to a [Verdict]; its tests show that each
// kind of violation is found.
//
// A run is random where the system is: a seed fixes the plan, not how the
// processes are scheduled. What failed is kept in a folder: the plan as it was
// carried out, the history, and what the processes printed.
//
// Every process ends when the driver does, also when the driver is killed.
package faults
