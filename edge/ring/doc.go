// Package ring keeps the newest events of channels in memory, each once, with
// the JSON every reader gets a copy of. It is pure: no I/O, no goroutine, no
// clock. All methods may be called from any goroutine.
//
//	          oldest              head
//	… | gone  |  e38  e39 … e41  e42  |
//	           \__ at most limit ____/
//
// A [Ring] holds one channel: events in order of v without holes, ending at
// its head. What falls out at the old end is counted nowhere: a reader whose
// cursor lies before the oldest sees that it does.
//
// A [Budget] bounds the bytes of all rings of a process. When it is exceeded
// the rings that were used longest ago lose their oldest events, in the end
// all of them; where a channel stands is known to its view all the same.
//
// # Locks
//
// A ring's lock guards its events, the budget's its list; neither is held
// while the other is taken.
package ring
