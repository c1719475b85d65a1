// Package hook asks a service of the deployment's own about every message before
// it is sent: content checks, spam filters, translation.
//
//	client ──send──▶ edge ──question──▶ hook (HTTP POST, or NATS request)
//	                   ◀── {"allow":true}
//	                   │   {"allow":true,"body":"…"}       sent with this body
//	                   │   {"allow":false,"message":"…"}   forbidden, with that message
//	                   ▼
//	                 owner
//
// The question is
//
//	{"command":"send"|"edit","group","channel","user","client_id","type"?,"body","n"?,
//	 "mentions"?,"mention_all"?,"reply_to"?}
//
// n being the edited message's. A command that is repeated is asked about again,
// under the same client_id. Back ends (server tokens) are not asked about.
//
// A hook has a deadline. One that misses it, answers anything else, or has too
// many questions open already has failed: then the group's setting `hook` decides
// (open: the message is sent, closed: it is refused as unavailable), and where
// the group has none, the deployment's.
//
// Over HTTP a question is signed: Throng-Signature: t=<unix seconds>,v1=<hex of
// HMAC-SHA256 over "<t>.<body>">. A receiver compares it, and that t is recent.
package hook
