package group

import "github.com/throng/throng/streams"

const kindDirect = "direct"

// noGroup refuses a command on a group that does not exist. Of a direct group
// it says what it says to strangers: its name is known to who knows the two
// users, and must not tell them whether these talk.
func (s *State) noGroup(r Request) error {
	if s.group.Direct() && !r.Server {
		return notMember()
	}
	return streams.Reject(streams.NotFound, "there is no such group")
}
