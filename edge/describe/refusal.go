package describe

import (
	"maps"
	"slices"

	"github.com/throng/throng/streams"
)

// refusal is the error object.
func refusal() *schema {
	now := closed("a key as it is", may("value", text("left out where it does not exist")), must("v", count("0 where it does not exist")))
	return closed("why a command was refused",
		must("code", oneOf("what programs branch on; docs/errors.md has cause and cure of each", codes...)),
		must("message", text("for people")),
		may("retry_ms", ordinal("when it may be worth trying again, in ms; left out where waiting does not help")),
		may("current", byKey(streams.MaxSetKeys, now, "where if_v was refused: what its keys are")),
	)
}

// codes is every code there is, in the order of the contract.
var codes = asText(
	streams.Unauthorized, streams.Forbidden, streams.NotMember, streams.NotFound, streams.Muted, streams.Banned,
	streams.BadRequest, streams.TooLarge, streams.RateLimited, streams.SlowMode, streams.Conflict,
	streams.StaleClientID, streams.Unavailable, streams.HistoryUnavailable, streams.Internal,
)

// byStatus is the codes answered with each HTTP status, ascending.
func byStatus(statuses map[streams.Code]int) (order []int, codes map[int][]string) {
	codes = map[int][]string{}
	for _, code := range slices.Sorted(maps.Keys(statuses)) {
		codes[statuses[code]] = append(codes[statuses[code]], string(code))
	}
	return slices.Sorted(maps.Keys(codes)), codes
}

func asText(codes ...streams.Code) []string {
	list := make([]string, len(codes))
	for i, code := range codes {
		list[i] = string(code)
	}
	return list
}
