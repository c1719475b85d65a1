package streams

import "time"

// Limits of the contract. Clients learn them in the answer to connect.
const (
	MaxBody          = 16 << 10         // bytes of a message body
	MaxType          = 64               // bytes of a message type
	MaxDisplayName   = 256              // bytes of a group's or channel's name for people
	MaxMentions      = 100              // users or roles one message mentions
	MaxReason        = 512              // bytes of a reason
	MaxInteger       = 1<<53 - 1        // JSON numbers beyond lose digits in clients
	DedupWindow      = 15 * time.Minute // how long a repeated client_id is recognised
	MaxClockAhead    = time.Minute      // how far a client_id may lie in the future
	MaxChannels      = 1000             // channels of a group
	MaxBatchCommands = 512              // commands of one request to a partition's owner
)
