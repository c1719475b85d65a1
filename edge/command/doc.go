// Package command does what clients ask for, whichever way they asked: over a
// WebSocket, HTTP or NATS.
//
// A command is prepared first ([Runner.Prepare]): who it is done for, its
// client_id, the names the edge makes up. Then it is a write, decided by the
// owner of the group's partition ([Runner.Write], in batches, in order), or a
// read ([Runner.Read]), answered from the group's view or by the owner. A
// rollback ([Runner.Rollback]) is many writes that this edge makes itself. What
// belongs to a session (connect, subscribe, unsubscribe) is done there.
package command
