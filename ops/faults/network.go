//go:build linux

package faults

import (
	"context"
	"time"
)

// Of the network's faults. Two of them are short of what breaks TCP, so nothing
// may break.
const (
	slowDelay  = 200 * time.Millisecond
	slowJitter = 100 * time.Millisecond
	lossShare  = 0.05
	slowRate   = 256 << 10 // bytes a second
	swallowFor = 100 * time.Millisecond
	flapEvery  = 400 * time.Millisecond
)

// weatherOf is what an action makes of a link, seen from the part it is about.
func weatherOf(a Action) weather {
	switch a {
	case Partition, Flap:
		return weather{stallOut: true, stallIn: true}
	case Mute:
		return weather{stallOut: true}
	case Deafen:
		return weather{stallIn: true}
	case Reset:
		return weather{down: true}
	case Delay:
		return weather{delay: slowDelay, jitter: slowJitter}
	case Lossy:
		return weather{loss: lossShare}
	case Throttle:
		return weather{rate: slowRate}
	case Swallow:
		return weather{swallow: swallowFor}
	}
	panic("no weather: " + string(a))
}

// network changes the weather at a part's end of some links, for a while. The
// cuts of a flapping network alternate between silence and resets.
func (n *nemesis) network(ctx context.Context, f Fault) {
	ends := n.deployment.links.of(f.Target)
	all := func(w weather) {
		for _, e := range ends {
			e.set(w)
		}
	}
	defer all(weather{})
	if f.Action != Flap {
		all(weatherOf(f.Action))
		pause(ctx, f.For)
		return
	}
	for began, count := time.Now(), 0; time.Since(began) < f.For; count++ {
		w := weatherOf(Flap)
		if count%2 == 1 {
			w = weatherOf(Reset)
		}
		all(w)
		pause(ctx, flapEvery)
		all(weather{})
		if !pause(ctx, flapEvery) {
			return
		}
	}
}
