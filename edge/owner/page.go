package owner

import (
	"context"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// pageBytes is about how much of a group's channels one answer holds: with all
// else in it and one channel of the largest size it stays below NATS's default
// limit of 1 MiB.
const pageBytes = 400 << 10

// snapshotTries is how often a snapshot is begun anew because another owner
// came while its pages were read.
const snapshotTries = 5

// Snapshot reads all pages of a group's snapshot, as who asks: command's other
// fields are kept. Its seq is the first page's: channels of later ones may be
// newer, and events behind it find them so. Errors are [*streams.Rejection].
func (c *Client) Snapshot(ctx context.Context, p streams.Partition, command *streampb.Command) (*streampb.Snapshot, error) {
	for range snapshotTries {
		all, same := (*streampb.Snapshot)(nil), true
		for after := ""; same && (all == nil || after != ""); {
			command.Body = &streampb.Command_Snapshot{Snapshot: &streampb.ReadSnapshot{After: after, Bytes: pageBytes}}
			result, err := c.Ask(ctx, p, command)
			if err != nil {
				return nil, err
			}
			page := result.GetSnapshot()
			if all == nil {
				all = page
			} else {
				same = page.GetEpoch() == all.GetEpoch() && page.GetLog() == all.GetLog()
				all.Channels = append(all.Channels, page.GetChannels()...)
			}
			after = page.GetAfter()
		}
		if same {
			all.After = ""
			return all, nil
		}
	}
	return nil, Unavailable()
}

// Group reads all pages of a group, as who asks. Its counts are the first
// page's. Errors are [*streams.Rejection].
func (c *Client) Group(ctx context.Context, p streams.Partition, command *streampb.Command) (*streampb.GroupInfo, error) {
	all := (*streampb.GroupInfo)(nil)
	for after := ""; all == nil || after != ""; {
		command.Body = &streampb.Command_GroupInfo{GroupInfo: &streampb.ReadGroup{After: after, Bytes: pageBytes}}
		result, err := c.Ask(ctx, p, command)
		if err != nil {
			return nil, err
		}
		page := result.GetGroupInfo()
		if all == nil {
			all = page
		} else {
			all.Channels = append(all.Channels, page.GetChannels()...)
		}
		after = page.GetAfter()
	}
	all.After = ""
	return all, nil
}
