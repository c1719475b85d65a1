// Package groups is the read model of what groups are beside their messages:
// who is in them, which channels and attributes they have, and who moderated
// whom.
//
//	members      how each user stands in each group          newest event wins
//	attributes   every value every key ever had              one row per change
//	moderation   what users did about users                  one row per act
//	channels     kind, name, parent, settings                folded like messages
//
// [Tables] makes the rows of a batch of events; who calls it stores them before
// the events, as the state they are (see package history). Nothing is counted
// and nothing added up: a row is what one event says, or, of a channel, the fold
// of the channel's events up to the row's version; the threads of a channel are
// deleted by the event that deletes it. So a row may be written any
// number of times, by several projectors, in any order, and the newest holds.
//
// [Members] reads a page of a group's members. Rooms above 200 members log no
// joins, so their members are who joined before, and presence is the owner's.
package groups
