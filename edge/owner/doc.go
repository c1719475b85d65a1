// Package owner carries commands to the owner of a group's partition and
// brings back what it decided.
//
// The owner may change at any time. While there is none, or it does not
// answer, the same commands are sent again in the same order until their
// deadline; every writing command has a client_id, so what was done already
// is answered, not done twice. Behind the deadline the outcome is unknown, and
// the answer is unavailable with a time to try again.
//
// Commands that stand alone and have small answers go together while others are
// under way ([Client.Together]): ten thousand who come into a room at once are a
// few hundred requests.
//
// An owner in the same process is asked there ([Local]), with the same bytes
// and the same three outcomes; any other over NATS.
package owner
