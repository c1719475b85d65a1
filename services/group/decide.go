package group

import (
	"time"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// Request is a command whose names have been parsed.
type Request struct {
	User   streams.User
	Server bool  // a back end: membership and roles are not asked for
	TS     int64 // ms since 1970 UTC of what is imported, 0 for now
	Body   any   // one of the *streampb command messages, or what the owner itself decides: Departure, Idle
	// Present is the edge's word that the user has a subscription in the room,
	// before the presence it tells of each second.
	Present bool
	// Target is the message a command [NeedsTarget] for, as the log has it;
	// nil where the sequencer knows of none.
	Target *Target
}

// Target is what does not change about a message, and whether it is known to
// be recalled.
type Target struct {
	Seq      streams.Seq
	Author   streams.User
	TS       int64 // ms since 1970 UTC
	Expires  int64 // ms since 1970 UTC, 0 for never
	Recalled bool  // false says nothing: the channel remembers, too
}

// Decision is what a command leads to: events, to be numbered and applied in
// this order, or an answer without any.
type Decision struct {
	Events []*streams.Event // Channel, User, Payload and Answer are set; of a replay also TS and ClientID
	Answer *streampb.Result // set when there are no events
	Enters bool             // the caller is in the room from now on, without an event
	Apart  bool             // the events need not be stored together: who repeats the command does the rest
}

// Decide says what a command does now (ms since 1970 UTC), or returns a
// [*streams.Rejection]. It changes nothing.
func (s *State) Decide(r Request, now int64) (Decision, error) {
	switch body := r.Body.(type) {
	case *streampb.CreateGroup:
		if body.GetKind() == kindDirect {
			return s.createDirect(r, body, now)
		}
		return s.createGroup(r, body, now)
	case *streampb.Block:
		return s.block(r, body, now)
	case *streampb.Send:
		if body.GetPeer() != "" {
			return s.sendDirect(r, body, now)
		}
	case *streampb.Join:
		if s.group.Direct() {
			return Decision{}, notInDirect()
		}
	}
	if body, ok := r.Body.(*streampb.Replay); ok {
		return s.replay(r, body)
	}
	if !s.Exists() {
		return Decision{}, s.noGroup(r)
	}
	switch body := r.Body.(type) {
	case *streampb.Join:
		return s.join(r, body, now)
	case *streampb.ReadAccess: // asked by the edge, not by the user
		return answer(&streampb.Result{Access: s.access(r.User)})
	case *streampb.ReadSnapshot:
		return answer(&streampb.Result{Snapshot: s.snapshot(body)})
	case *Departure:
		return s.depart(body)
	case *Idle:
		return s.endIdle(r)
	}
	if err := s.may(r, ReadGroup); err != nil {
		return Decision{}, err
	}
	switch body := r.Body.(type) {
	case *streampb.UpdateGroup:
		return s.updateGroup(r, body)
	case *streampb.DeleteGroup:
		return s.deleteGroup(r, body)
	case *streampb.ActOnMember:
		d, err := s.actOnMember(r, body, now)
		if err == nil && body.GetCheck() {
			return s.atMembers() // who asks only wants to know
		}
		return d, err
	case *streampb.AddMembers:
		return s.addMembers(r, body, now)
	case *streampb.Invite:
		return s.invite(r, body, now)
	case *streampb.ReadGroup:
		return answer(&streampb.Result{GroupInfo: s.info(r, body)})
	case *streampb.CreateChannel:
		return s.createChannel(r, body, now)
	case *streampb.UpdateChannel:
		return s.updateChannel(r, body)
	case *streampb.DeleteChannel:
		return s.deleteChannel(r, body)
	case *streampb.Leave:
		return s.leave(r, body, now)
	case *streampb.Send:
		if err := s.taken(r); err != nil {
			return Decision{}, err
		}
		return s.send(r, body, now)
	case *streampb.Edit:
		if err := s.taken(r); err != nil {
			return Decision{}, err
		}
		return s.edit(r, body, now)
	case *streampb.Recall:
		return s.recall(r, body)
	case *streampb.React:
		return s.react(r, body, now)
	case *streampb.Unreact:
		return s.unreact(r, body)
	case *streampb.Pin:
		return s.pin(r, body)
	case *streampb.Unpin:
		return s.unpin(r, body)
	case *streampb.SetAttributes:
		return s.setAttributes(r, body, now)
	case *streampb.ReadAttributes:
		return s.readAttributes(r, body)
	case *streampb.ReadPresence:
		return answer(&streampb.Result{Presence: &streampb.Presence{Online: s.online(), Members: s.population()}})
	case *streampb.ReadMembers:
		return answer(&streampb.Result{Members: s.memberPage(body)})
	}
	return Decision{}, streams.Reject(streams.BadRequest, "unknown command")
}

func answer(result *streampb.Result) (Decision, error) { return Decision{Answer: result}, nil }

// event makes one event of a command; the last one made by [one] or marked by
// the caller carries the answer.
func event(r Request, c streams.Channel, p streams.Payload) *streams.Event {
	return &streams.Event{Channel: c, User: r.User, Payload: p}
}

func one(r Request, c streams.Channel, p streams.Payload) (Decision, error) {
	e := event(r, c, p)
	e.Answer = true
	return Decision{Events: []*streams.Event{e}}, nil
}

func (s *State) createGroup(r Request, body *streampb.CreateGroup, now int64) (Decision, error) {
	if s.group.Direct() { // whether there is one or not
		return Decision{}, streams.Reject(streams.BadRequest, "such names belong to direct groups")
	}
	if s.meta.seq != 0 { // a deleted one, too
		return Decision{}, streams.Reject(streams.Conflict, "there is a group of this name already")
	}
	if kind := body.GetKind(); kind != "community" && kind != "room" {
		return Decision{}, streams.Reject(streams.BadRequest, "kind must be community, room or direct")
	}
	name := body.GetName()
	if name == "" {
		name = string(s.group)
	}
	if len(name) > streams.MaxDisplayName {
		return Decision{}, streams.Reject(streams.BadRequest, "name is longer than %d bytes", streams.MaxDisplayName)
	}
	settings, err := patch(defaultSettings(body.GetKind()), body.GetSettings())
	if err != nil {
		return Decision{}, err
	}
	created := event(r, streams.GroupChannel, streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{
		Kind: body.GetKind(), Name: name, Settings: settings,
	}})
	created.Answer = true
	first := event(r, streams.MembersChannel, streams.MemberJoined{MemberJoined: s.joining(r, r.User, owner, now)})
	return Decision{Events: []*streams.Event{created, first}}, nil
}

func (s *State) updateGroup(r Request, body *streampb.UpdateGroup) (Decision, error) {
	if err := s.may(r, UpdateGroup); err != nil {
		return Decision{}, err
	}
	name := s.meta.name
	if body.Name != nil {
		name = body.GetName()
	}
	if name == "" || len(name) > streams.MaxDisplayName {
		return Decision{}, streams.Reject(streams.BadRequest, "name must be 1 to %d bytes", streams.MaxDisplayName)
	}
	settings, err := patch(s.meta.settings, body.GetSettings())
	if err != nil {
		return Decision{}, err
	}
	return one(r, streams.GroupChannel, streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{
		Kind: s.meta.kind, Name: name, Settings: settings,
	}})
}

// deleteGroup ends a group for everybody; its name stays taken.
func (s *State) deleteGroup(r Request, body *streampb.DeleteGroup) (Decision, error) {
	if err := s.may(r, DeleteGroup); err != nil {
		return Decision{}, err
	}
	if err := checkReason(body.GetReason()); err != nil {
		return Decision{}, err
	}
	return one(r, streams.GroupChannel, streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{
		Kind: s.meta.kind, Name: s.meta.name, Settings: s.meta.settings, Deleted: true, Reason: body.GetReason(),
	}})
}

// waiting is how long a sender under slow mode has to wait, 0 for not at all.
func (s *State) waiting(r Request, ch *channel, now int64) time.Duration {
	slow := s.slow(ch)
	last, wrote := ch.lastSend[r.User]
	if slow == 0 || !wrote || s.has(r, SendWithoutSlowMode) {
		return 0
	}
	return time.Duration(max(0, last+slow-now)) * time.Millisecond
}
