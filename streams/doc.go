// Package streams is the contract between the parts of Throng: what is in the
// log, what it is called, and how it is encoded. It does no I/O, starts no
// goroutine and reads no clock.
//
// # The log
//
// A group's life is a log. Groups are spread over P partitions by a hash of
// their name; all events of a group are in one partition, so they have one
// order. A partition is one JetStream stream, LOG_<p>, written by one
// sequencer at a time.
//
//	group "g1" ──hash──▶ partition 3 ──▶ stream LOG_3
//	                                       throng.log.3.g1.@         settings, channels
//	                                       throng.log.3.g1.@members  joins and leaves
//	                                       throng.log.3.g1.general   messages, edits
//	                                       throng.log.3.@fence       who may write
//
// Three numbers place an event, and they are three types that never mix:
//
//   - [Seq] is JetStream's sequence in the partition: total order of a group, with holes.
//   - [Version] (v) counts the events of one channel from 1, without holes.
//   - [Number] (n) counts the messages of one channel from 1, without holes.
//
// # Fencing
//
// Each term of a sequencer starts with a message on the fence subject; that
// message's sequence is the term's [Epoch]. Every append names the fence it
// stands on, and the stream refuses it when another fence has been put up
// since. Readers check as well: [Judge] decides for edge, projection,
// snapshot and replay alike whether an event belongs.
//
// # Subjects
//
//	throng.log.<p>.<group>.<channel>    events, stored in LOG_<p>
//	throng.log.<p>.@fence               fences, stored in LOG_<p>
//	throng.log.<p>.@canary              health probes, stored in LOG_<p>, no events
//	throng.live.<p>.<group>.<channel>   the same events, re-published by the stream after they are stored
//	throng.state.<p>.<group>.<entity>   snapshot records, stored in STATE_<p>, newest per subject
//	throng.state.<p>.@dedup.<seq>       pieces of the duplicate window
//	throng.state.<p>.@checkpoint        up to which sequence the records are complete
//	throng.state.<p>.@fence             fences of the snapshot writer
//	throng.user.<q>.<user>.hide.<group>.<channel>
//	                                    what a user hides for themselves, stored in USER_<q>, newest per subject
//	throng.cmd.<p>                      requests to the partition's owner
//	throng.beacon.<p>                   where recently moved channels stand, once a second
//	throng.position.<p>                 how far projections have stored the log, once a second
//	throng.query.<name>                 requests to the projections
//	throng.api.<command>                the client commands for back ends beside the cluster
package streams
