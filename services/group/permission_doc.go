package group

import (
	"fmt"
	"strings"

	"github.com/throng/throng/streams"
)

// PermissionTable is docs/permissions.md.
func PermissionTable() string {
	var b strings.Builder
	b.WriteString(`# Permissions

Who may do what in a group. Generated from ` + "`services/group/permission.go`" + ` by
` + "`go test ./services/group -run Permissions -update`" + `; the sequencer decides by the same table.

Who is no member gets ` + "`not_member`" + ` for everything but ` + "`join`" + `, and who is banned ` + "`banned`" + ` for that.
Nobody acts upon an equal or higher role (*upon lower*), and nobody gives a role equal to their own or
higher, owners excepted. There is always an owner: the last one can neither leave nor be demoted, by a
server token neither. A server token skips membership, roles and mutes, not validation.

| action | member | moderator | admin | owner | set by | upon lower | in direct groups | refused while muted | besides |
|---|---|---|---|---|---|---|---|---|---|
`)
	for a := range actions {
		r := rules[a]
		setting := ""
		if r.setting != "" {
			setting = "`" + strings.Trim(r.setting, "`") + "`"
			if strings.Contains(r.setting, "`") {
				setting = r.setting
			}
		}
		fmt.Fprintf(&b, "| %s ", r.name)
		for role := anyMember; role <= owner; role++ {
			b.WriteString("| " + yes(role >= r.least) + " ")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", setting, yes(r.above), yes(r.direct), yes(r.mutable), r.conditions)
	}
	b.WriteString("\nWhere a setting decides, the columns show its default in a community. Slow mode and `mute_all` do not\nhold for " +
		streams.RoleName(rules[SendWhileAllMuted].least) + "s and above. Everybody may make a group, and is its owner; a direct group has two.\n")
	return b.String()
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}
