package group

import "github.com/throng/throng/streams/streampb"

// Actions is how many actions there are.
const Actions = actions

// ActionName is the action's row in docs/permissions.md.
func ActionName(a Action) string { return rules[a].name }

// InDirect reports whether the table allows the action in direct groups.
func InDirect(a Action) bool { return rules[a].direct }

// LeastRole is the role an action takes in a group with these settings, for
// tests that compare decisions with the table; upon tells that it is refused
// upon an equal or higher role.
func LeastRole(a Action, settings *streampb.Settings) (least streampb.Role, upon bool) {
	if by := rules[a].bySetting; by != nil {
		return by(settings), rules[a].above
	}
	return rules[a].least, rules[a].above
}
