package group

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

const (
	kindDirect = "direct"
	// mainChannel is the one channel of a direct group.
	mainChannel streams.Channel = "main"
)

// noGroup refuses a command on a group that does not exist. Of a direct group
// it says what it says to strangers: its name is known to who knows the two
// users, and must not tell them whether these talk.
func (s *State) noGroup(r Request) error {
	if s.group.Direct() && !r.Server {
		return notMember()
	}
	return streams.NoGroup()
}

func notInDirect() error {
	return streams.Reject(streams.Forbidden, "not in a direct group")
}

// peerOf checks that the group is the direct one of the caller and a peer.
func (s *State) peerOf(r Request, name string) (streams.User, error) {
	peer, err := streams.ParseUser(name)
	switch {
	case err != nil:
		return "", err
	case peer == r.User:
		return "", streams.Reject(streams.BadRequest, "nobody has a direct group with themselves")
	case streams.DirectGroup(r.User, peer) != s.group:
		return "", streams.Reject(streams.BadRequest, "this is not the direct group of the two")
	}
	return peer, nil
}

// found returns the direct group as it is, or as it is once the returned
// events, in whose decision a command may go on, are applied.
func (s *State) found(r Request, peer streams.User, now int64) (*State, []*streams.Event) {
	if s.Exists() {
		return s, nil
	}
	fresh := New(s.group)
	var events []*streams.Event
	add := func(c streams.Channel, p streams.Payload) {
		e := event(r, c, p)
		fresh.Number(e)
		e.Seq, e.TS = streams.Seq(len(events)+1), now
		fresh.Apply(e)
		events = append(events, e)
	}
	add(streams.GroupChannel, streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{
		Kind: kindDirect, Settings: defaultSettings(kindDirect),
	}})
	for _, u := range []streams.User{r.User, peer} {
		add(streams.MembersChannel, streams.MemberJoined{MemberJoined: fresh.joining(r, u, owner, now)})
	}
	add(streams.GroupChannel, streams.ChannelCreated{ChannelCreated: &streampb.ChannelCreated{
		Channel: string(mainChannel), Kind: "public", Name: string(mainChannel),
	}})
	return fresh, events
}

// createDirect makes the direct group of two users, or finds it.
func (s *State) createDirect(r Request, body *streampb.CreateGroup, now int64) (Decision, error) {
	peer, err := s.peerOf(r, body.GetPeer())
	if err != nil {
		return Decision{}, err
	}
	if body.GetSettings() != nil || body.GetName() != "" {
		return Decision{}, streams.Reject(streams.BadRequest, "a direct group has neither name nor settings")
	}
	_, events := s.found(r, peer, now)
	if events == nil {
		return answer(&streampb.Result{V: uint64(s.Place(streams.GroupChannel).V), Already: true})
	}
	events[0].Answer = true
	return Decision{Events: events}, nil
}

// sendDirect sends to a user, in the direct group the two have or get by it.
func (s *State) sendDirect(r Request, body *streampb.Send, now int64) (Decision, error) {
	peer, err := s.peerOf(r, body.GetPeer())
	if err != nil {
		return Decision{}, err
	}
	if c := body.GetChannel(); c != "" && c != string(mainChannel) {
		return Decision{}, streams.NoChannel()
	}
	there, events := s.found(r, peer, now)
	if err := there.taken(r); err != nil {
		return Decision{}, err
	}
	sent, err := there.send(r, inMain(body), now)
	if err != nil {
		return Decision{}, err
	}
	sent.Events = append(events, sent.Events...)
	return sent, nil
}

// inMain is the same message for the one channel there is.
func inMain(body *streampb.Send) *streampb.Send {
	return &streampb.Send{
		Channel: string(mainChannel), Type: body.GetType(), Body: body.GetBody(), BodyJson: body.GetBodyJson(),
		Mentions: body.GetMentions(), MentionAll: body.GetMentionAll(), MentionRoles: body.GetMentionRoles(),
		ReplyTo: body.GetReplyTo(), Priority: body.GetPriority(), TtlMs: body.GetTtlMs(),
	}
}

// taken rejects who writes in a direct group to somebody who has blocked them.
// Both records are in memory.
func (s *State) taken(r Request) error {
	if !r.Server && s.blocks(r.User) {
		return streams.Reject(streams.Forbidden, "this user does not take messages from you")
	}
	return nil
}

// blocks reports whether the other of a direct group has blocked a user. Both
// records are in memory.
func (s *State) blocks(user streams.User) bool {
	if s.meta.kind != kindDirect {
		return false
	}
	for u, m := range s.members {
		if u != user && m.blocksPeer {
			return true
		}
	}
	return false
}

// block makes the caller stop taking what the other sends, or take it again.
func (s *State) block(r Request, body *streampb.Block, now int64) (Decision, error) {
	peer, err := s.peerOf(r, body.GetPeer())
	if err != nil {
		return Decision{}, err
	}
	if body.GetUndo() && !s.Exists() {
		return answer(&streampb.Result{Already: true})
	}
	if _, events := s.found(r, peer, now); events != nil {
		return blockFirst(r, events)
	}
	if err := s.may(r, BlockPeer); err != nil {
		return Decision{}, err
	}
	if s.standing(r.User).blocksPeer != body.GetUndo() {
		return s.atMembers()
	}
	after := s.standing(r.User).state()
	after.BlocksPeer = !body.GetUndo()
	var payload streams.Payload = streams.PeerBlocked{PeerBlocked: &streampb.PeerBlocked{Member: string(r.User), State: after}}
	if body.GetUndo() {
		payload = streams.PeerUnblocked{PeerUnblocked: &streampb.PeerUnblocked{Member: string(r.User), State: after}}
	}
	return one(r, streams.MembersChannel, payload)
}

// blockFirst makes a group in which the caller has blocked the other from the
// beginning: the join says so.
func blockFirst(r Request, events []*streams.Event) (Decision, error) {
	for _, e := range events {
		if join, ok := e.Payload.(streams.MemberJoined); ok && join.GetMember() == string(r.User) {
			join.State.BlocksPeer, e.Answer = true, true
		}
	}
	return Decision{Events: events}, nil
}
