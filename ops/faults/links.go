//go:build linux

package faults

import (
	"fmt"
	"strings"
)

// links are the networks between the parts, by "from>to". Every connection of
// the deployment goes over one of them, except the driver's own.
//
//	edge-0>nats-2   services-1>nats-0   projections-0>nats-1
//	nats-0>nats-1   nats-1>nats-0       (routes; either side may have dialed)
//	projections-0>clickhouse
type links struct{ all map[string]*link }

// make puts a link in front of an address and returns the one to dial.
func (n *links) make(from, to, address string) (string, error) {
	name := from + ">" + to
	l, err := newLink(name, address)
	if err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	n.all[name] = l
	return l.addr(), nil
}

// client makes a part's links to all NATS nodes and returns its URLs.
func (n *links) client(from string, natsPorts []int) (urls string, err error) {
	var list []string
	for i, port := range natsPorts {
		address, err := n.make(from, fmt.Sprintf("nats-%d", i), fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return "", err
		}
		list = append(list, "nats://"+address)
	}
	return strings.Join(list, ","), nil
}

func (n *links) close() {
	for _, l := range n.all {
		l.close()
	}
}

// end is one part's end of a link.
type end struct {
	link   *link
	dialed bool // by that part
}

// of returns the links a target of the plan names, each with that target's end:
// «edge-0~nats» is all between the edge and NATS, «nats-1~nats» the routes of a
// node, «projections-0~clickhouse» what it says.
func (n *links) of(target string) (ends []end) {
	part, peers, _ := strings.Cut(target, "~")
	for name, l := range n.all {
		from, to, _ := strings.Cut(name, ">")
		switch {
		case from == part && strings.HasPrefix(to, peers):
			ends = append(ends, end{l, true})
		case to == part && strings.HasPrefix(from, peers):
			ends = append(ends, end{l, false})
		}
	}
	return ends
}

// set changes the weather at a part's end: what goes out there comes in at the
// other.
func (e end) set(w weather) {
	if !e.dialed {
		w.stallOut, w.stallIn = w.stallIn, w.stallOut
	}
	e.link.set(w)
}
