package main

import "github.com/throng/throng/edge/limit"

// limitFlags are how fast clients may ask, on `edge` and `dev`. What is not
// given is the command's own: the documented limits on an edge, none in `dev`.
type limitFlags struct {
	ConnectionRate *ceiling `name:"connection-rate" help:"Commands a second of one WebSocket, bursts of twice as many; 0 for no limit. Default: 200, none in dev." placeholder:"N"`
	UserRate       *ceiling `name:"user-rate" help:"Writing commands a second of one user on this edge, bursts of twice as many; 0 for no limit. Default: 100, none in dev." placeholder:"N"`
	GroupRate      *ceiling `name:"group-rate" help:"Writing commands a second in one group through this edge, bursts of twice as many; 0 for no limit. Default: 5000, none in dev." placeholder:"N"`
	Connections    *ceiling `name:"user-connections" help:"WebSockets one user may have at once on this edge; 0 for any number. Default: 100, any number in dev." placeholder:"N"`
}

// limits are the given ones over others.
func (f limitFlags) limits(l limit.Limits) limit.Limits {
	for _, one := range []struct {
		given *ceiling
		to    *limit.Rate
	}{{f.ConnectionRate, &l.Connection}, {f.UserRate, &l.User}, {f.GroupRate, &l.Group}} {
		if one.given != nil {
			*one.to = limit.Rate{PerSecond: float64(*one.given)}
		}
	}
	if f.Connections != nil {
		l.Connections = int(*f.Connections)
	}
	return l
}
