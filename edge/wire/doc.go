// Package wire is the JSON form of what clients and the edge say to each
// other: it parses commands and appends answers, events and frames. It does no
// I/O and reads no clock.
//
// # In
//
// A WebSocket message is one or more frames separated by a newline; over HTTP
// and NATS the object of the command stands alone.
//
//	{"id":7,"<command>":{…}}    exactly one command beside the id
//
// Types are strict: a number is a non-negative integer below 2^53 in digits
// only, names go through the parsers of package streams, null is the same as
// absent. Fields a command does not know are ignored, so newer clients can
// talk to older edges; of a key that stands twice the last counts.
//
// # Out
//
//	{"id":7,"ok":{…}}                                   an answer
//	{"id":7,"error":{"code","message","retry_ms"?,
//	  "current"?}}                                      a refusal; id 0 if it could not be read
//	{"block":{"group","channel","events":[…]}}          up to [BlockEvents] events of one channel
//	{"gap":{"group","channel","after","upto"}}          after < v <= upto were not delivered
//	{"conversation":{"group","left":true}}              the user is no member any more
//	{"conversation":{"group","channel","left":true}}    the channel is not there for the user any more
//	{"signal":{"group","channel","user","type","data"}} somebody's signal; nothing of it is stored
//	{"bye":{"reason","retry_ms"}}                       the edge is about to close
//
// Events have one flat form, see [AppendEvent]; it is made once per event and
// copied to every reader. Frames never hold a newline, not even inside a body
// that is a JSON object: there it is white space and becomes a space.
//
// # Sizes
//
//	MaxFrame     128 KiB  a WebSocket message, an HTTP or NATS body
//	BlockEvents  10       events of one block frame
//	MaxSignal    4 KiB    the data of a signal
//	streams.Max…          what is inside a command
package wire
