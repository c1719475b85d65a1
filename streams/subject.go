package streams

import (
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
)

// The subject grammar. Nothing else in the project formats or parses a
// subject or a stream name. Groups and channels come in as types that only
// their parsers make, so no token can hold a separator or a wildcard.
const (
	logPrefix    = "throng.log."
	livePrefix   = "throng.live."
	statePrefix  = "throng.state."
	cmdPrefix    = "throng.cmd."
	beaconPrefix = "throng.beacon."
	posPrefix    = "throng.position."
	queryPrefix  = "throng.query."
	apiPrefix    = "throng.api."

	presencePrefix = "throng.presence."
)

// Buckets of the key-value store.
const (
	ConfigBucket = "THRONG_CONFIG" // what a deployment was provisioned with
	LeaseBucket  = "THRONG_LEASES" // who owns which partition
)

func (p Partition) String() string { return strconv.FormatUint(uint64(p), 10) }

// LogStream is the name of a partition's log.
func LogStream(p Partition) string { return "LOG_" + p.String() }

// StateStream is the name of the stream of a partition's snapshot records.
func StateStream(p Partition) string { return "STATE_" + p.String() }

// LogSubject is where a channel's events are appended.
func LogSubject(p Partition, g Group, c Channel) string {
	return logPrefix + p.String() + "." + string(g) + "." + string(c)
}

// GroupLogFilter matches all events of one group.
func GroupLogFilter(p Partition, g Group) string {
	return logPrefix + p.String() + "." + string(g) + ".>"
}

// LogFilter matches all of a partition's log, fences and canaries included.
func LogFilter(p Partition) string { return logPrefix + p.String() + ".>" }

// FenceSubject is where a sequencer puts up its fence.
func FenceSubject(p Partition) string { return logPrefix + p.String() + ".@fence" }

// CanarySubject is where health probes are appended.
func CanarySubject(p Partition) string { return logPrefix + p.String() + ".@canary" }

// LivePattern is where the log re-publishes everything it stored.
func LivePattern(p Partition) string { return livePrefix + p.String() + ".>" }

// LiveFilter matches the live events of one group.
func LiveFilter(p Partition, g Group) string {
	return livePrefix + p.String() + "." + string(g) + ".>"
}

// LiveFence is where fences are re-published: it ends the terms before it for
// those who follow live.
func LiveFence(p Partition) string { return livePrefix + p.String() + ".@fence" }

// LogToken tells what a subject of the log or of its live copy carries.
type LogToken struct {
	Fence, Canary bool
	Group         Group // with Channel: an event
	Channel       Channel
}

// ParseLog reads a subject under throng.log or throng.live; ok is false for
// anything this grammar does not make.
func ParseLog(subject string) (token LogToken, ok bool) {
	rest, found := strings.CutPrefix(subject, logPrefix)
	if !found {
		if rest, found = strings.CutPrefix(subject, livePrefix); !found {
			return LogToken{}, false
		}
	}
	partition, rest, found := strings.Cut(rest, ".")
	if !found || !digits(partition) {
		return LogToken{}, false
	}
	group, channel, found := strings.Cut(rest, ".")
	if !found {
		return LogToken{Fence: group == "@fence", Canary: group == "@canary"}, group == "@fence" || group == "@canary"
	}
	if !validName(group) || !validName(channel) {
		return LogToken{}, false
	}
	return LogToken{Group: Group(group), Channel: Channel(channel)}, true
}

// The snapshot's subjects are in families, so that a takeover reads only what it
// needs and the rest is one direct get away:
//
//	throng.state.<p>.core.<group>.meta            GroupRecord        read at takeover
//	throng.state.<p>.core.<group>.channel.<c>     ChannelRecord      read at takeover
//	throng.state.<p>.core.@dedup.<seq>            DedupChunk         read at takeover
//	throng.state.<p>.core.@checkpoint             Checkpoint         read at takeover
//	throng.state.<p>.member.<group>.<user>        MemberRecord       when first asked for
//	throng.state.<p>.attr.<group>.<channel>.<bucket>.<key>
//	                                              AttributeRecord    when first asked for; the key in hex
//	throng.state.<p>.card.<group>.<channel>.<n>   CardRecord         when first asked for
//	throng.state.<p>.core.@fence                  the writer's fence
const (
	familyCore   = ".core."
	familyMember = ".member."
	familyAttr   = ".attr."
	familyCard   = ".card."
)

// StatePattern matches all of a partition's snapshot.
func StatePattern(p Partition) string { return statePrefix + p.String() + ".>" }

// StateFilter matches the records a takeover reads.
func StateFilter(p Partition) string { return statePrefix + p.String() + familyCore + ">" }

// StateFence is where the snapshot writer puts up its fence.
func StateFence(p Partition) string { return statePrefix + p.String() + familyCore + "@fence" }

// StateCheckpoint is the subject of a partition's checkpoint.
func StateCheckpoint(p Partition) string {
	return statePrefix + p.String() + familyCore + "@checkpoint"
}

// StateDedup is the subject of a piece of the duplicate window: the entries
// from a sequence on.
func StateDedup(p Partition, first Seq) string {
	return statePrefix + p.String() + familyCore + "@dedup." + strconv.FormatUint(uint64(first), 10)
}

// StateGroup is the subject of a group's own record.
func StateGroup(p Partition, g Group) string {
	return statePrefix + p.String() + familyCore + string(g) + ".meta"
}

// StateChannel is the subject of a channel's record.
func StateChannel(p Partition, g Group, c Channel) string {
	return statePrefix + p.String() + familyCore + string(g) + ".channel." + string(c)
}

// StateMember is the subject of a member's record.
func StateMember(p Partition, g Group, u User) string {
	return statePrefix + p.String() + familyMember + string(g) + "." + string(u)
}

// StateMembers matches the records of all of a group's members.
func StateMembers(p Partition, g Group) string {
	return statePrefix + p.String() + familyMember + string(g) + ".*"
}

// attributeBuckets is over how many tokens a channel's attributes are spread:
// a server tells of 1,024 subjects at once, and a channel may have ten times as
// many attributes. It is part of the stored format.
const attributeBuckets = 64

// attributeBucket is where among them a key is.
func attributeBucket(key string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return strconv.FormatUint(uint64(h.Sum32()%attributeBuckets), 10)
}

// StateAttribute is the subject of an attribute's record.
func StateAttribute(p Partition, g Group, c Channel, key string) string {
	return stateAttributes(p, g, c) + attributeBucket(key) + "." + hex.EncodeToString([]byte(key))
}

func stateAttributes(p Partition, g Group, c Channel) string {
	return statePrefix + p.String() + familyAttr + string(g) + "." + string(c) + "."
}

// StateAttributes matches the records of all attributes of a channel.
func StateAttributes(p Partition, g Group, c Channel) string {
	return stateAttributes(p, g, c) + ">"
}

// StateAttributesInParts matches the same, for channels that have more than a
// server tells of at once.
func StateAttributesInParts(p Partition, g Group, c Channel) []string {
	filters := make([]string, attributeBuckets)
	for i := range filters {
		filters[i] = stateAttributes(p, g, c) + strconv.Itoa(i) + ".*"
	}
	return filters
}

// StateCard is the subject of what a message has gathered.
func StateCard(p Partition, g Group, c Channel, n Number) string {
	return statePrefix + p.String() + familyCard + string(g) + "." + string(c) + "." + strconv.FormatUint(uint64(n), 10)
}

// StateToken tells what a subject under throng.state carries: with Group set,
// the group's record, or the member's, attribute's, card's or channel's where
// that is set.
type StateToken struct {
	Fence, Checkpoint bool
	Dedup             bool // a piece of the duplicate window,
	First             Seq  // which begins here
	Group             Group
	Channel           Channel // alone, or with Attribute or Card
	Member            User
	Attribute         string // a key
	Card              Number
}

// ParseState is the inverse of the State functions.
func ParseState(subject string) (token StateToken, ok bool) {
	rest, found := strings.CutPrefix(subject, statePrefix)
	if !found {
		return StateToken{}, false
	}
	partition, rest, found := strings.Cut(rest, ".")
	if !found || !digits(partition) {
		return StateToken{}, false
	}
	tokens := strings.Split(rest, ".")
	family, tokens := tokens[0], tokens[1:]
	if len(tokens) == 0 {
		return StateToken{}, false
	}
	if family == "core" {
		return parseCore(tokens)
	}
	token.Group = Group(tokens[0])
	if ok = validName(tokens[0]); !ok {
		return StateToken{}, false
	}
	switch {
	case family == "member" && len(tokens) == 2 && validName(tokens[1]):
		token.Member = User(tokens[1])
		return token, true
	case family == "attr" && len(tokens) == 4 && validName(tokens[1]):
		key, err := hex.DecodeString(tokens[3])
		token.Channel, token.Attribute = Channel(tokens[1]), string(key)
		return token, err == nil && len(key) > 0 && tokens[3] == strings.ToLower(tokens[3]) && tokens[2] == attributeBucket(string(key))
	case family == "card" && len(tokens) == 3 && validName(tokens[1]):
		n, err := strconv.ParseUint(tokens[2], 10, 64)
		token.Channel, token.Card = Channel(tokens[1]), Number(n)
		return token, err == nil && n > 0 && strconv.FormatUint(n, 10) == tokens[2]
	}
	return StateToken{}, false
}

// parseCore reads what a takeover reads.
func parseCore(tokens []string) (token StateToken, ok bool) {
	switch {
	case len(tokens) == 1 && tokens[0] == "@fence":
		return StateToken{Fence: true}, true
	case len(tokens) == 1 && tokens[0] == "@checkpoint":
		return StateToken{Checkpoint: true}, true
	case len(tokens) == 2 && tokens[0] == "@dedup" && digits(tokens[1]):
		first, err := strconv.ParseUint(tokens[1], 10, 64)
		return StateToken{Dedup: true, First: Seq(first)}, err == nil
	case len(tokens) < 2 || !validName(tokens[0]):
	case len(tokens) == 2 && tokens[1] == "meta":
		return StateToken{Group: Group(tokens[0])}, true
	case len(tokens) == 3 && tokens[1] == "channel" && validName(tokens[2]):
		return StateToken{Group: Group(tokens[0]), Channel: Channel(tokens[2])}, true
	}
	return StateToken{}, false
}

// CommandSubject is where the owner of a partition takes requests.
func CommandSubject(p Partition) string { return cmdPrefix + p.String() }

// BeaconSubject is where the owner of a partition tells where channels stand.
func BeaconSubject(p Partition) string { return beaconPrefix + p.String() }

// PresenceSubject is where edges tell the owner of a partition who is there.
func PresenceSubject(p Partition) string { return presencePrefix + p.String() }

// PresenceCallSubject is where the owner of a partition asks all edges to tell
// that anew, whole.
func PresenceCallSubject(p Partition) string { return presencePrefix + p.String() + ".call" }

// SignalSubject is where a channel's signals pass, beside its live events and
// never through the log: who follows the group live has them without a
// subscription more. It is no subject that [ParseLog] takes for an event's.
func SignalSubject(p Partition, g Group, c Channel) string {
	return livePrefix + p.String() + "." + string(g) + "." + string(c) + ".@signal"
}

// ParseSignal is the inverse of [SignalSubject].
func ParseSignal(subject string) (g Group, c Channel, ok bool) {
	rest, found := strings.CutPrefix(subject, livePrefix)
	tokens := strings.Split(rest, ".")
	if !found || len(tokens) != 4 || !digits(tokens[0]) || tokens[3] != "@signal" || !validName(tokens[1]) || !validName(tokens[2]) {
		return "", "", false
	}
	return Group(tokens[1]), Channel(tokens[2]), true
}

// PositionSubject is where projections tell how far they have stored a log.
func PositionSubject(p Partition) string { return posPrefix + p.String() }

// Queries the projections answer.
const (
	QueryEvents  = queryPrefix + "events"
	QueryHistory = queryPrefix + "history"
	QueryMembers = queryPrefix + "members"
	QueryHealth  = queryPrefix + "health"
)

// APISubject is where a client command is taken from back ends over NATS.
func APISubject(command string) string { return apiPrefix + command }

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
