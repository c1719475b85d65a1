// Package refusals tests what a deployment does not tell and does not take. It
// has nothing but tests:
//
//	go test ./ops/refusals
//
// # What is real
//
// nats-server, the services, an edge, the projections and ClickHouse, all in
// this process but for the engine. Who asks does so over a WebSocket, HTTP and
// NATS.
//
// # Nothing is told
//
// Every kind of user there is (strangers, who has left, was kicked or banned,
// members of every role outside a private channel, …) does every command of
// wire.Names, in every form that names a group, a channel, a message, an
// invitation or a user, about everything there is and about what there is not.
// Secrets are in everything that can hold text, and each says who may know it.
// There is one [world] for each kind and way, so that what succeeds changes
// nothing for others. Two things are judged:
//
//   - no answer and no pushed frame has a secret its reader may not know;
//   - what is not there for somebody is answered byte for byte like what is not
//     there at all.
//
// Names that are taken are the exception: create_group and create_channel say
// conflict for a name they cannot give.
//
// # Nothing bad is taken
//
// Each limit is taken at its very edge and refused one above, over each way.
//
// A new command without a row in the tables fails the tests, and an edge that
// shows private channels to everybody proves that the judges find it.
package refusals
