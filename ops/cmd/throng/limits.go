package main

import "github.com/throng/throng/edge/limit"

// limitFlags are how fast clients may ask, on `edge` and `dev`. What is not
// given is as documented; in `dev` and beside it there is no limit.
type limitFlags struct {
	ConnectionRate *ceiling `name:"connection-rate" help:"Commands a second of one WebSocket, bursts of twice as many; 0 for no limit. Default: 500, none in development." placeholder:"N"`
	UserRate       *ceiling `name:"user-rate" help:"Writing commands a second of one user on this edge, bursts of twice as many; 0 for no limit. Default: 250, none in development." placeholder:"N"`
	GroupRate      *ceiling `name:"group-rate" help:"Writing commands a second in one group through this edge, bursts of twice as many; 0 for no limit. Default: 5000, none in development." placeholder:"N"`
	SignalRate     *ceiling `name:"signal-rate" help:"Signals a second of one user over HTTP and NATS on this edge, bursts of twice as many; 0 for no limit. Default: 100, none in development." placeholder:"N"`
	Connections    *ceiling `name:"user-connections" help:"WebSockets one user may have at once on this edge; 0 for any number. Default: 100, any number in development." placeholder:"N"`
}

// limits are the given ones over those of the deployment.
func (f limitFlags) limits(dev bool) limit.Limits {
	l := limit.Default()
	if dev {
		l = limit.Limits{}
	}
	for _, one := range []struct {
		given *ceiling
		to    *limit.Rate
	}{{f.ConnectionRate, &l.Connection}, {f.UserRate, &l.User}, {f.GroupRate, &l.Group}, {f.SignalRate, &l.Signals}} {
		if one.given != nil {
			*one.to = limit.Rate{PerSecond: float64(*one.given)}
		}
	}
	if f.Connections != nil {
		l.Connections = int(*f.Connections)
	}
	return l
}
