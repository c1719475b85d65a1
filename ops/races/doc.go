// Package races shows that what happens at once has one outcome: a stage in one
// process has real edges, a real sequencer and a real nats-server, and WebSocket
// clients contend on it.
//
//   - A moderator mutes, kicks or bans who is sending through two edges: by the
//     log nothing of theirs stands behind the act, and what their sessions are
//     told ends with it.
//   - Many set the same few keys under a condition: one wins, each key's history
//     fits an order, and a seat whose holder is gone is freed once.
//   - Many come into a room at once: its owner is asked for the attributes once
//     by each edge.
//
// The tests have a short form, which every run of all tests includes, and a long
// one by flags; Taskfile.yml has both. Each checker is shown to fail where the
// owner asks no rules of the one it should refuse.
package races
