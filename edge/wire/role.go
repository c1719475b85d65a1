package wire

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

func (f *fields) role(name string) (role streampb.Role, given bool) {
	s, given := f.text(name)
	if !given {
		return streampb.Role_ROLE_NONE, false
	}
	role, ok := streams.ParseRole(s)
	if !ok {
		f.bad("%s must be owner, admin, moderator or member", name)
	}
	return role, true
}
