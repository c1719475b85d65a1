package edgetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/eventlog"
	"github.com/throng/throng/streams/streampb"
	"github.com/throng/throng/streams/topology"
)

const patience = 10 * time.Second

// Owner owns one partition.
type Owner struct {
	// Static after NewOwner.
	t    testing.TB
	conn *nats.Conn
	p    streams.Partition

	// Swallow is how many of the next requests are decided and not answered.
	Swallow atomic.Int32
	// Busy is how many of the next requests are refused as unavailable.
	Busy atomic.Int32
	// Asked counts requests for snapshots, Access for access.
	Snapshots, Accesses atomic.Int32
	// AttributeLoads counts first pages of attributes that were asked for.
	AttributeLoads atomic.Int32
	// Largest is the most commands one request had.
	Largest atomic.Int32

	mu       sync.Mutex
	log      string                        // its name; guarded by mu
	term     *eventlog.Term                // guarded by mu
	groups   map[streams.Group]*group      // guarded by mu
	done     map[doneKey]*streampb.Result  // guarded by mu
	attempts map[doneKey]uint32            // of what is done; guarded by mu
	events   []*streams.Event              // guarded by mu; everything written
	moved    map[[2]string]streams.Version // guarded by mu; since the last beacon
	sub      *nats.Subscription            // guarded by mu; nil while it does not serve
}

type doneKey struct {
	user string
	id   streams.ClientID
}

type group struct {
	kind, name string
	settings   *streampb.Settings
	channels   map[streams.Channel]*streampb.ChannelInfo
	order      []streams.Channel
	roles      map[string]streampb.Role
	standing   map[string]*streampb.MemberState                   // of members
	named      map[streams.Channel]map[string]bool                // whom private channels name
	attributes map[streams.Channel]map[string]*streampb.Attribute // by key
	reactions  map[reaction]map[string]bool                       // users
	deleted    bool
}

// NewOwner starts the owner of a partition; it ends with the test.
func NewOwner(t testing.TB, conn *nats.Conn, p streams.Partition) *Owner {
	t.Helper()
	o := &Owner{
		t: t, conn: conn, p: p,
		groups:   map[streams.Group]*group{},
		done:     map[doneKey]*streampb.Result{},
		attempts: map[doneKey]uint32{},
		moved:    map[[2]string]streams.Version{},
	}
	o.Name("log-of-the-test")
	o.Start()
	t.Cleanup(o.Stop)
	return o
}

// Name gives the log another name, as after it was lost.
func (o *Owner) Name(log string) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	js, err := jetstream.New(o.conn)
	if err != nil {
		o.t.Fatal(err)
	}
	stream, err := js.Stream(ctx, streams.LogStream(o.p))
	if err != nil {
		o.t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Metadata = map[string]string{topology.MetaLog: log}
	if _, err := js.UpdateStream(ctx, config); err != nil {
		o.t.Fatal(err)
	}
	o.log = log
}

// Start begins a term and serves.
func (o *Owner) Start() {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	term, err := eventlog.NewWriter(eventlog.WriterConfig{
		Conn: o.conn, Stream: streams.LogStream(o.p), Fence: streams.FenceSubject(o.p),
	}).Fence(ctx, []byte("stand-in"))
	if err != nil {
		o.t.Fatal(err)
	}
	o.term = term
	if o.sub, err = o.conn.Subscribe(streams.CommandSubject(o.p), o.serve); err != nil {
		o.t.Fatal(err)
	}
	if err := o.conn.Flush(); err != nil {
		o.t.Fatal(err)
	}
}

// Stop ends serving, as a lost owner does; Start takes over again.
func (o *Owner) Stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sub != nil {
		_ = o.sub.Unsubscribe()
		o.sub = nil
		o.term.Close()
	}
}

// Events is everything the channel's log ever held.
func (o *Owner) Events(g streams.Group, c streams.Channel) (events []*streams.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if e.Group == g && e.Channel == c {
			events = append(events, e)
		}
	}
	return events
}

// Beacon tells where the channels stand that moved since the last one.
func (o *Owner) Beacon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	beacon := &streampb.Beacon{Epoch: uint64(o.term.Epoch())}
	for key, v := range o.moved {
		beacon.Heads = append(beacon.Heads, &streampb.BeaconHead{Group: key[0], Channel: key[1], V: uint64(v)})
	}
	clear(o.moved)
	data, err := proto.Marshal(beacon)
	if err == nil {
		err = o.conn.Publish(streams.BeaconSubject(o.p), data)
	}
	if err != nil {
		o.t.Error(err)
	}
}

// serve runs on the subscription's goroutine, so requests are decided in the
// order they came.
func (o *Owner) serve(msg *nats.Msg) {
	batch := &streampb.CommandBatch{}
	if err := proto.Unmarshal(msg.Data, batch); err != nil {
		o.t.Error(err)
		return
	}
	o.Largest.Store(max(o.Largest.Load(), int32(len(batch.GetCommands()))))
	answer := &streampb.ResultBatch{}
	o.mu.Lock()
	if o.sub == nil {
		o.mu.Unlock()
		return
	}
	for _, c := range batch.GetCommands() {
		if o.Busy.Load() > 0 {
			answer.Results = append(answer.Results, refused(streams.Unavailable))
			continue
		}
		answer.Results = append(answer.Results, o.decide(c))
	}
	o.Busy.Store(max(0, o.Busy.Load()-1))
	stored := o.settle()
	o.mu.Unlock()
	if !stored {
		return
	}
	if o.Swallow.Load() > 0 {
		o.Swallow.Add(-1)
		return
	}
	data, err := proto.Marshal(answer)
	if err == nil {
		err = msg.Respond(data)
	}
	if err != nil {
		o.t.Log(err) // the test may have ended
	}
}

// settle waits until everything is stored; o.mu is held.
func (o *Owner) settle() bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for o.term.Unsettled() > 0 {
		select {
		case reply := <-o.term.Replies():
			for _, ack := range o.term.Settle(reply) {
				if ack.Err != nil {
					o.t.Log(ack.Err)
					return false
				}
			}
		case <-deadline.C:
			return false
		}
	}
	return true
}

func refused(code streams.Code) *streampb.Result {
	return &streampb.Result{Rejection: &streampb.Rejection{Code: string(code), Message: "refused by the stand-in"}}
}

// decide does one command; o.mu is held.
func (o *Owner) decide(c *streampb.Command) *streampb.Result {
	if c.GetCanary() != nil {
		seq := o.term.Append(eventlog.Record{Subject: streams.CanarySubject(o.p)})
		return &streampb.Result{Seq: uint64(seq)}
	}
	id, _ := streams.ClientIDFromBytes(c.GetClientId())
	key := doneKey{c.GetUser(), id}
	if r := o.done[key]; r != nil && !id.IsZero() {
		again := proto.Clone(r).(*streampb.Result)
		again.Duplicate = c.GetAttempt() == 0 || o.attempts[key] != c.GetAttempt()
		return again
	}
	g := o.groups[streams.Group(c.GetGroup())]
	if c.GetCreateGroup() != nil {
		if g != nil {
			return refused(streams.Conflict)
		}
		r := o.createGroup(c, id)
		o.done[key], o.attempts[key] = r, c.GetAttempt()
		return r
	}
	if g == nil || g.deleted {
		return refused(streams.NotFound)
	}
	if r := o.read(g, c); r != nil {
		return r
	}
	if c.GetJoin() == nil && !c.GetServer() && g.roles[c.GetUser()] == 0 {
		return refused(streams.NotMember)
	}
	r := o.write(g, c, id)
	if r.GetRejection() == nil {
		o.done[key], o.attempts[key] = r, c.GetAttempt()
	}
	return r
}

func (o *Owner) read(g *group, c *streampb.Command) *streampb.Result {
	seq := uint64(o.term.Next() - 1)
	member := c.GetServer() || g.roles[c.GetUser()] != 0
	switch {
	case c.GetSnapshot() != nil:
		o.Snapshots.Add(1)
		s := &streampb.Snapshot{Seq: seq, Epoch: uint64(o.term.Epoch()), Settings: g.settings, Kind: g.kind, Name: g.name, Log: o.log}
		for _, name := range g.order {
			s.Channels = append(s.Channels, proto.Clone(g.channels[name]).(*streampb.ChannelInfo))
		}
		return &streampb.Result{Seq: seq, Snapshot: s}
	case c.GetAccess() != nil:
		o.Accesses.Add(1)
		return &streampb.Result{Seq: seq, Access: g.access(c.GetUser())}
	case c.GetAttrs() != nil:
		if c.GetAttrs().GetAfter() == "" {
			o.AttributeLoads.Add(1)
		}
		return &streampb.Result{Seq: seq, Attributes: g.page(c.GetAttrs())}
	case c.GetGroupInfo() != nil && member:
		info := &streampb.GroupInfo{Kind: g.kind, Name: g.name, Settings: g.settings, Members: uint64(len(g.roles)), Role: g.roles[c.GetUser()]}
		for _, name := range g.order {
			info.Channels = append(info.Channels, proto.Clone(g.channels[name]).(*streampb.ChannelInfo))
		}
		return &streampb.Result{Seq: seq, GroupInfo: info}
	case c.GetMembers() != nil && member:
		page := &streampb.MemberPage{Count: uint64(len(g.roles))}
		for user, role := range g.roles {
			page.Members = append(page.Members, &streampb.MemberInfo{User: user, Role: role, Joined: 1})
		}
		slices.SortFunc(page.Members, func(a, b *streampb.MemberInfo) int { return int(a.Joined - b.Joined) })
		return &streampb.Result{Seq: seq, Members: page}
	case c.GetGroupInfo() != nil, c.GetMembers() != nil:
		return refused(streams.NotMember)
	}
	return nil
}

func (o *Owner) createGroup(c *streampb.Command, id streams.ClientID) *streampb.Result {
	g := &group{
		kind: c.GetCreateGroup().GetKind(), name: c.GetCreateGroup().GetName(),
		settings: &streampb.Settings{
			Join: "open", History: "all", MaxMessageBytes: streams.MaxBody,
			MentionAll: streampb.Role_ROLE_MODERATOR, Attrs: streampb.Role_ROLE_MODERATOR,
		},
		channels: map[streams.Channel]*streampb.ChannelInfo{}, roles: map[string]streampb.Role{},
		standing: map[string]*streampb.MemberState{}, named: map[streams.Channel]map[string]bool{},
		attributes: map[streams.Channel]map[string]*streampb.Attribute{}, reactions: map[reaction]map[string]bool{},
	}
	patch(g.settings, c.GetCreateGroup().GetSettings())
	o.groups[streams.Group(c.GetGroup())] = g
	g.channel(streams.GroupChannel)
	g.channel(streams.MembersChannel)
	r := o.append(g, c, id, streams.GroupChannel, streams.GroupUpdated{GroupUpdated: &streampb.GroupUpdated{Kind: g.kind, Name: g.name, Settings: g.settings}})
	o.join(g, c, id, c.GetUser(), streampb.Role_ROLE_OWNER)
	return r
}

func (o *Owner) write(g *group, c *streampb.Command, id streams.ClientID) *streampb.Result {
	switch body := c.GetBody().(type) {
	case *streampb.Command_Join:
		if g.roles[c.GetUser()] != 0 {
			return &streampb.Result{V: g.channels[streams.MembersChannel].GetV(), Already: true}
		}
		if g.settings.GetJoin() != "open" {
			return refused(streams.Forbidden)
		}
		return o.join(g, c, id, c.GetUser(), streampb.Role_ROLE_MEMBER)
	case *streampb.Command_Leave:
		delete(g.roles, c.GetUser())
		delete(g.standing, c.GetUser())
		g.dismiss(c.GetUser())
		return o.append(g, c, id, streams.MembersChannel, streams.MemberLeft{MemberLeft: &streampb.MemberLeft{Member: c.GetUser(), State: &streampb.MemberState{}}})
	case *streampb.Command_Send:
		s := body.Send
		return o.append(g, c, id, streams.Channel(s.GetChannel()), streams.MessagePosted{MessagePosted: &streampb.MessagePosted{
			Type: s.GetType(), Body: s.GetBody(), BodyJson: s.GetBodyJson(), Mentions: s.GetMentions(), ReplyTo: s.GetReplyTo(), Expires: expires(s.GetTtlMs()),
		}})
	case *streampb.Command_Edit:
		return o.append(g, c, id, streams.Channel(body.Edit.GetChannel()), streams.MessageEdited{MessageEdited: &streampb.MessageEdited{
			Target: body.Edit.GetN(), Body: body.Edit.GetBody(), BodyJson: body.Edit.GetBodyJson(), Expires: o.expiry(c),
		}})
	case *streampb.Command_Recall:
		info := g.channels[streams.Channel(body.Recall.GetChannel())]
		if info == nil {
			return refused(streams.NotFound)
		}
		info.Recalled = append(info.Recalled, body.Recall.GetN())
		return o.append(g, c, id, streams.Channel(body.Recall.GetChannel()), streams.MessageRecalled{MessageRecalled: &streampb.MessageRecalled{
			Target: body.Recall.GetN(),
		}})
	}
	return o.organize(g, c, id)
}

// append writes one event; o.mu is held.
func (o *Owner) append(g *group, c *streampb.Command, id streams.ClientID, channel streams.Channel, payload streams.Payload) *streampb.Result {
	info := g.channels[channel]
	if info == nil {
		return refused(streams.NotFound)
	}
	e := &streams.Event{
		Group: streams.Group(c.GetGroup()), Channel: channel,
		V: streams.Version(info.V + 1), N: streams.Number(info.N), Seq: o.term.Next(), Epoch: o.term.Epoch(), Prev: streams.Seq(info.Seq),
		TS: time.Now().UnixMilli(), User: streams.User(c.GetUser()), ClientID: id, Answer: true, Payload: payload,
	}
	if _, ok := payload.(streams.MessagePosted); ok {
		e.N++
	}
	data, err := streams.MarshalEvent(e)
	if err != nil {
		o.t.Error(fmt.Errorf("marshal: %w", err))
		return refused(streams.Internal)
	}
	info.V, info.N, info.Seq = uint64(e.V), uint64(e.N), uint64(e.Seq)
	o.term.Append(eventlog.Record{Subject: streams.LogSubject(o.p, e.Group, channel), Data: data})
	o.events = append(o.events, e)
	o.moved[[2]string{c.GetGroup(), string(channel)}] = e.V
	return &streampb.Result{V: info.V, N: info.N, Seq: info.Seq, Ts: e.TS}
}
