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
	MaxAttributeKey  = 128              // bytes of an attribute's key
	MaxAttribute     = 4096             // bytes of an attribute's value
	MaxAttributes    = 10_000           // attributes of a channel
	MaxSetKeys       = 100              // keys one attr_set sets and deletes
	MaxEmoji         = 64               // bytes of a reaction
	MaxEmojis        = 50               // different reactions of a message
	MaxReactions     = 100_000          // reactions of a message, of all users
	MaxPins          = 100              // pinned messages of a channel
	MaxUserGroups    = 100              // user groups of a member, or named by a channel
	MaxChannelNamed  = 10_000           // users a private channel names
	MaxRoomLogged    = 200              // members up to which a room logs who joins and leaves
	MaxInvites       = 1000             // invitations of a group that can still be used
	MaxAddressed     = 100              // users one command names: members of a new channel, users of a rollback
	MaxAdded         = 500              // users one command of a back end adds
	MaxHidden        = 10_000           // messages of a channel one user hides
	MaxHiddenInGroup = 100_000          // and of all channels of a group
	MaxReplay        = 100              // events of one replay command
	MaxBatchCommands = 512              // commands of one request to a partition's owner
)
