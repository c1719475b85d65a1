package faults

import "time"

// Channel names one log.
type Channel struct {
	Group string `json:"group"`
	Name  string `json:"channel"`
}

// Entry is an event, as any source tells it. Two entries of one v are the same
// event only if they are equal.
type Entry struct {
	Channel
	V    uint64 `json:"v"`
	N    uint64 `json:"n"`
	Seq  uint64 `json:"seq"`
	Kind string `json:"kind"`
	User string `json:"user"`
	ID   string `json:"id"`   // client_id, empty for none
	Body string `json:"body"` // of messages
}

// Outcome is how an attempt to send ended.
type Outcome string

const (
	Acked   Outcome = "acked"
	Refused Outcome = "refused" // Code says why
	Broken  Outcome = "broken"  // the connection ended before the answer: unknown
	Silent  Outcome = "silent"  // no answer in time: unknown, and a fault of the edge if it was well
)

// Attempt is one time a send was written to a connection. Times are since the
// start of the run.
type Attempt struct {
	Edge      int           `json:"edge"`
	Conn      int           `json:"conn"` // of this sender; a new number for each connection
	Began     time.Duration `json:"began"`
	Ended     time.Duration `json:"ended"`
	Outcome   Outcome       `json:"outcome"`
	Code      string        `json:"code,omitempty"`
	V         uint64        `json:"v,omitempty"`
	N         uint64        `json:"n,omitempty"`
	Seq       uint64        `json:"seq,omitempty"`
	Duplicate bool          `json:"duplicate,omitempty"`
}

// Send is one message with all attempts to send it, in the order they began.
type Send struct {
	Channel
	User      string    `json:"user"`
	ID        string    `json:"id"`
	Body      string    `json:"body"`
	Forbidden bool      `json:"forbidden,omitempty"` // its sender is no member: it must be refused
	Attempts  []Attempt `json:"attempts"`
}

// Range is After < v <= Upto.
type Range struct {
	After uint64 `json:"after"`
	Upto  uint64 `json:"upto"`
}

// Delivery is an event that came by itself, or a gap frame in its place.
type Delivery struct {
	Gap   *Range `json:"gap,omitempty"`
	Event Entry  `json:"event,omitzero"`
}

// Subscription is one answer to subscribe and all that followed on it.
type Subscription struct {
	// When it was asked and answered.
	Began  time.Duration `json:"began"`
	Ended  time.Duration `json:"ended"`
	After  uint64        `json:"after"` // asked
	V      uint64        `json:"v"`     // answered
	Log    string        `json:"log"`
	Gap    *Range        `json:"gap,omitempty"`
	Answer []Entry       `json:"answer"`
	Feed   []Delivery    `json:"feed"`
	Pulled []Entry       `json:"pulled"` // what filled the gaps
}

// Reader is one follower of a channel over all its connections.
type Reader struct {
	Channel
	Name          string         `json:"name"`
	Slow          bool           `json:"slow"` // it stops reading now and then
	Subscriptions []Subscription `json:"subscriptions"`
}

// Record is one message of a partition's stream.
type Record struct {
	Seq    uint64 `json:"seq"`
	Epoch  uint64 `json:"epoch"`  // of an event: its writer's term
	Fence  bool   `json:"fence"`  // a term begins
	Other  bool   `json:"other"`  // neither fence nor event
	Digest uint64 `json:"digest"` // of subject and bytes
	Event  Entry  `json:"event,omitzero"`
}

// Replica is a partition's stream as one NATS node has it.
type Replica struct {
	Node      string   `json:"node"`
	Partition int      `json:"partition"`
	Records   []Record `json:"records"`
}

// Source is what a reading interface said a channel holds, complete and in
// order.
type Source struct {
	Channel
	Name     string  `json:"name"`
	Messages bool    `json:"messages"` // it lists messages only
	Entries  []Entry `json:"entries"`
}

// Head is how far an exact read said a channel is.
type Head struct {
	Channel
	V     uint64        `json:"v"`
	Began time.Duration `json:"began"`
	Ended time.Duration `json:"ended"`
}

// Asked is a question for what only ClickHouse has, while it was away.
type Asked struct {
	Edge    int           `json:"edge"`
	Command string        `json:"command"`
	At      time.Duration `json:"at"`
	Took    time.Duration `json:"took"`
	Outcome Outcome       `json:"outcome"`
	Code    string        `json:"code,omitempty"`
}

// Outage is a time in which an edge could not answer.
type Outage struct {
	Edge int           `json:"edge"`
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
}

// History is all that was seen of one run.
type History struct {
	Partitions int       `json:"partitions"`
	Sends      []Send    `json:"sends"` // of each sender in its order
	Readers    []Reader  `json:"readers"`
	Replicas   []Replica `json:"replicas"`
	Sources    []Source  `json:"sources"`
	Heads      []Head    `json:"heads"` // at rest
	Attrs      []AttrOp  `json:"attrs"`
	Asked      []Asked   `json:"asked"`
	Outages    []Outage  `json:"outages"`
	Deaths     []string  `json:"deaths"` // processes that panicked
}
