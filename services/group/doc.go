// Package group decides what happens in a group. It is a pure state machine:
// commands and the time go in, events or a [streams.Rejection] come out
// ([State.Decide]); events go in, state changes ([State.Apply]). It does no
// I/O, reads no clock and keeps no pointer into what it is given, but for whom
// it asks who is present ([State.Attend]).
//
// Invariants:
//
//   - Apply of what Decide returned never fails, and Decide changes nothing.
//   - Every entity (group, channel, member) knows the sequence of the newest
//     event folded into it and ignores older ones. So records of different
//     age, written while events went on, fold to the same state.
//   - Counters are carried by the events, never counted from them: v, n, the
//     census of the members; and so is a member as after the event. Folding is
//     assignment, and needs nothing of what was before in memory.
//   - The group and its channels are in memory. Members are there once a
//     command has needed them ([State.Missing], [State.Restore]), and until
//     they are evicted ([State.Evict]). Decide looks at no member that Missing
//     did not ask for.
//   - Nothing compares roles but the table in permission.go.
package group
