package group

import (
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

// replay takes events of a history elsewhere as they are, as far as they are not
// here. Nothing is asked but that each follows what is here: what was allowed
// then is not for now to judge.
func (s *State) replay(r Request, body *streampb.Replay) (Decision, error) {
	if !r.Server {
		return Decision{}, streams.Reject(streams.Forbidden, "replaying takes a back end")
	}
	if len(body.GetEvents()) > streams.MaxReplay {
		return Decision{}, streams.Reject(streams.BadRequest, "a replay has at most %d events", streams.MaxReplay)
	}
	at := map[streams.Channel]streams.Version{}
	var d Decision
	for _, data := range body.GetEvents() {
		e, err := streams.UnmarshalEvent(data, 0)
		if err != nil {
			return Decision{}, streams.Reject(streams.BadRequest, "an event can't be read")
		}
		if _, seen := at[e.Channel]; !seen {
			at[e.Channel] = s.Place(e.Channel).V
		}
		switch {
		case e.V <= at[e.Channel]:
			continue
		case e.V > at[e.Channel]+1:
			return Decision{}, streams.Reject(streams.Conflict, "version %d of a channel does not follow %d", e.V, at[e.Channel])
		}
		at[e.Channel] = e.V
		s.rejoin(e)
		e.Answer = false
		d.Events = append(d.Events, e)
	}
	if len(d.Events) == 0 {
		return answer(&streampb.Result{Already: true})
	}
	d.Events[len(d.Events)-1].Answer = true
	return d, nil
}

// rejoin makes the member an event carries one of this log: sequences of joins
// are other ones here.
func (s *State) rejoin(e *streams.Event) {
	if u, state := streams.MemberOf(e); state.GetJoinedSeq() != 0 {
		state.JoinedSeq = uint64(s.standing(u).joinedSeq)
	}
}

// missingReplayed asks for the members whose joins rejoin looks up.
func (s *State) missingReplayed(body *streampb.Replay, n *need) {
	for _, data := range body.GetEvents() {
		e, err := streams.UnmarshalEvent(data, 0)
		if err != nil {
			return // Decide refuses it
		}
		if u, state := streams.MemberOf(e); state.GetJoinedSeq() != 0 {
			n.member(u)
		}
	}
}
