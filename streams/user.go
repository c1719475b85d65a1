package streams

import "strings"

// What only one user has is in streams of their own, beside the logs of the
// groups, spread by the user's name over as many as there are partitions:
//
//	throng.user.<q>.<user>.hide.<group>.<channel>   HiddenRecord, stored in USER_<q>, newest per subject
const userPrefix = "throng.user."

const hideToken = ".hide."

// UserPartition is which of count user streams a user's records are in. It is
// part of the stored format, as [PartitionOf] is.
func UserPartition(u User, count uint32) Partition { return PartitionOf(Group(u), count) }

// UserStream is the name of a stream of users' records.
func UserStream(q Partition) string { return "USER_" + q.String() }

// UserPattern matches all of a user stream.
func UserPattern(q Partition) string { return userPrefix + q.String() + ".>" }

// HiddenSubject is where it is kept which messages of a channel a user hides.
func HiddenSubject(q Partition, u User, g Group, c Channel) string {
	return hiddenPrefix(q, u, g) + string(c)
}

// HiddenFilter matches a user's records of all channels of a group.
func HiddenFilter(q Partition, u User, g Group) string { return hiddenPrefix(q, u, g) + "*" }

func hiddenPrefix(q Partition, u User, g Group) string {
	return userPrefix + q.String() + "." + string(u) + hideToken + string(g) + "."
}

// HiddenPattern matches those of all users of a stream.
func HiddenPattern(q Partition) string { return userPrefix + q.String() + ".*" + hideToken + ">" }

// ParseHidden is the inverse of [HiddenSubject].
func ParseHidden(subject string) (u User, g Group, c Channel, ok bool) {
	rest, found := strings.CutPrefix(subject, userPrefix)
	tokens := strings.Split(rest, ".")
	if !found || len(tokens) != 5 || !digits(tokens[0]) || tokens[2] != "hide" ||
		!validName(tokens[1]) || !validName(tokens[3]) || !validName(tokens[4]) {
		return "", "", "", false
	}
	return User(tokens[1]), Group(tokens[3]), Channel(tokens[4]), true
}

// HideSubject is where an edge tells the others that a user hides a message of a
// channel, as signals pass: beside the live events, to who follows the group.
func HideSubject(p Partition, g Group, c Channel) string {
	return livePrefix + p.String() + "." + string(g) + "." + string(c) + ".@hide"
}

// ParseHide is the inverse of [HideSubject].
func ParseHide(subject string) (g Group, c Channel, ok bool) {
	channel, found := strings.CutSuffix(subject, ".@hide")
	token, ok := ParseLog(channel)
	if !found || !ok || token.Group == "" || !strings.HasPrefix(subject, livePrefix) {
		return "", "", false
	}
	return token.Group, token.Channel, true
}
