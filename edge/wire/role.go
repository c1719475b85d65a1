package wire

import "github.com/throng/throng/streams/streampb"

// RoleName returns a role's name, "" for none.
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

// parseRole is the inverse of [RoleName]; none has no name to ask for.
func parseRole(s string) (streampb.Role, bool) {
	for r := streampb.Role_ROLE_MEMBER; r <= streampb.Role_ROLE_OWNER; r++ {
		if RoleName(r) == s {
			return r, true
		}
	}
	return streampb.Role_ROLE_NONE, false
}

func (f *fields) role(name string) (role streampb.Role, given bool) {
	s, given := f.text(name)
	if !given {
		return streampb.Role_ROLE_NONE, false
	}
	role, ok := parseRole(s)
	if !ok {
		f.bad("%s must be owner, admin, moderator or member", name)
	}
	return role, true
}
