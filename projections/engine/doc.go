// Package engine runs the real ClickHouse engine as a child process, for `throng dev` and for tests. Production gives a
// DSN to a ClickHouse of its own and never comes here.
//
// # Parent and child
//
// The engine is a shared library (libchdb.so, [Fetch] brings it) that can open ClickHouse's native port. It is loaded
// into a process of its own: it can be started only once per process, and its crash must not be the product's crash.
// No second program is shipped for that: the binary starts itself again with "@engine" as its first argument, and
// [Main], called before anything else in main and in TestMain, recognises that and never returns.
//
//	    parent: throng dev, or a test binary                child: the same binary, argv[1] = "@engine"
//	+--------------------------------------+             +-----------------------------------------+
//	|  Fetch ---> libchdb.so in the cache  |   starts    |  Main: load the library with purego     |
//	|  Engine.Run                          +------------>|  clickhouse-local --path DATADIR/store  |
//	|    start, probe, watch, start again  |             |    1. SYSTEM START LISTEN TCP           |
//	|                                      |   stdin     |    2. read stdin to its end             |
//	|    holds the pipe's write end -------+=============+--> nothing is ever written to it        |
//	|                                      |             |                                         |
//	|  clients of DSN()                    +-- TCP ----->|  127.0.0.1:port                         |
//	+--------------------------------------+             +-----------------------------------------+
//
// The second query is what keeps the child alive, and the end of its input is the only order the child knows: stop.
//
// # Whoever dies first
//
//   - The child dies: Run starts another on the same address and the same data, after a pause of 0.1 s that grows to at
//     most a second, for as long as its context lives. Every insert the engine acknowledged is there again: the page cache
//     outlives the process. (Not so after a power cut: the log is the truth, and projections are rebuilt from it.)
//   - The parent stops: Run closes the pipe, waits stopGrace, kills, and returns only when the child is gone.
//   - The parent dies, kill -9 included: the kernel closes the pipe, and the child ends. Should the engine hang in its
//     shutdown, the child ends itself after orphanGrace.
//   - The parent is started again meanwhile: the child holds a lock of its own, inherited at its start, and Run waits
//     for it before it looks at the port.
//
// Pdeathsig, the obvious alternative on Linux, is left out: it fires when the *thread* that forked ends, so it needs a
// thread locked for good, and its SIGKILL would take away the clean end that the pipe gives.
//
// # The life of one child
//
//	           hello answered under            exits, whatever the reason
//	starting ------- our name -------> ready ----------------------------> pause (0.1 s … 1 s)
//	    |                                |                                      |
//	    | exits before it was ever ready | context done                         | starting
//	    v                                v
//	Run returns the engine's own words   pipe closed, waited for, Run returns nil
//
// Ready means that a ClickHouse handshake succeeded and that the server introduced itself by the random name this child
// was given. Both matter: the engine reports neither a taken port nor a locked data directory through its return value,
// and the answer on a port may come from anybody.
//
// # The data directory
//
//	supervisor.lock  held by the parent: a second supervisor is refused with [ErrInUse]
//	child.lock       held by the child (and by the parent meanwhile): waited for
//	engine.log       what the child prints; bounded, the previous one in engine.log.1
//	store/           ClickHouse's own path
//
// There is a user default without a password, so only loopback addresses are accepted. The child lives in its own
// process group: Ctrl-C in a terminal reaches the parent, which drains, and not the engine it drains into.
package engine
