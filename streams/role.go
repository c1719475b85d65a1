package streams

import "github.com/throng/throng/streams/streampb"

// RoleName is a role's name, "" for none.
func RoleName(r streampb.Role) string {
	switch r {
	case streampb.Role_ROLE_MEMBER:
		return "member"
	case streampb.Role_ROLE_MODERATOR:
		return "moderator"
	case streampb.Role_ROLE_ADMIN:
		return "admin"
	case streampb.Role_ROLE_OWNER:
		return "owner"
	}
	return ""
}

// ParseRole is the inverse of [RoleName]; none has no name to ask for.
func ParseRole(s string) (streampb.Role, bool) {
	for r := streampb.Role_ROLE_MEMBER; r <= streampb.Role_ROLE_OWNER; r++ {
		if RoleName(r) == s {
			return r, true
		}
	}
	return streampb.Role_ROLE_NONE, false
}
