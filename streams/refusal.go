package streams

import "time"

// Refusals that an edge gives as well as an owner, from what each knows. Their
// texts are the same, so that nobody learns from one which of the two it was, nor
// whether what they asked for exists.

// NoGroup refuses a command on a group that does not exist.
func NoGroup() *Rejection { return Reject(NotFound, "there is no such group") }

// NoChannel refuses a command on a channel that does not exist, or is not seen.
func NoChannel() *Rejection { return Reject(NotFound, "there is no such channel") }

// NoMessage refuses a command on a message that does not exist.
func NoMessage() *Rejection { return Reject(NotFound, "there is no such message") }

// Outside refuses a command of who is not in the group.
func Outside() *Rejection { return Reject(NotMember, "you are not a member of this group") }

// IsMuted refuses what a muted user says; left is how long that goes on, 0 for
// good.
func IsMuted(left time.Duration) *Rejection {
	if left == 0 {
		return Reject(Muted, "you are muted in this group")
	}
	return RejectRetry(Muted, left, "you are muted in this group")
}

// AllMuted refuses what is said while everybody is muted.
func AllMuted() *Rejection { return Reject(Muted, "everybody is muted in this group") }
