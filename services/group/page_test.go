package group_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/services/group"
	"github.com/throng/throng/streams/streampb"
)

// Pages of a group and of its snapshot are together what one answer without a
// bound holds, however small they are, and each goes on with at least a channel.
func TestPagesAreTheWhole(t *testing.T) {
	s := newScript(t)
	s.run("server alice create_group kind=community name=G\nserver insider join\nstands insider role=admin\n" +
		"insider create_channel channel=c05-hidden kind=private")
	for i := range 20 {
		s.run(fmt.Sprintf("alice create_channel channel=c%02d kind=public name=%0*d", i, i*10+1, i))
	}
	ask := func(body any) *streampb.Result {
		t.Helper()
		d, err := s.state.Decide(group.Request{User: "alice", Body: body}, s.now)
		if err != nil {
			t.Fatal(err)
		}
		return d.Answer
	}
	whole, snapshot := ask(&streampb.ReadGroup{}).GetGroupInfo(), ask(&streampb.ReadSnapshot{}).GetSnapshot()
	if len(whole.GetChannels()) != 20 || len(snapshot.GetChannels()) != 23 {
		t.Fatalf("%d channels are shown, %d are in the snapshot", len(whole.GetChannels()), len(snapshot.GetChannels()))
	}
	for _, bytes := range []uint32{1, 100, 500, 1 << 20} {
		var shown, followed []*streampb.ChannelInfo
		for after, more := "", true; more; more = after != "" {
			page := ask(&streampb.ReadGroup{After: after, Bytes: bytes}).GetGroupInfo()
			shown, after = append(shown, page.GetChannels()...), page.GetAfter()
		}
		for after, more := "", true; more; more = after != "" {
			page := ask(&streampb.ReadSnapshot{After: after, Bytes: bytes}).GetSnapshot()
			followed, after = append(followed, page.GetChannels()...), page.GetAfter()
		}
		if !proto.Equal(&streampb.GroupInfo{Channels: shown}, &streampb.GroupInfo{Channels: whole.GetChannels()}) ||
			!proto.Equal(&streampb.Snapshot{Channels: followed}, &streampb.Snapshot{Channels: snapshot.GetChannels()}) {
			t.Errorf("in pages of %d bytes: %d channels are shown, %d are in the snapshot", bytes, len(shown), len(followed))
		}
	}
}
