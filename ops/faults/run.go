//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config of a run.
type Config struct {
	Throng     string        // the binary under test
	NATSServer string        // the nats-server binary
	Dir        string        // where the run's folder is made
	Seed       uint64        // of the plan
	Over       time.Duration // of the faults
	Zombie     time.Duration // for which one services process is frozen
	PowerCut   bool          // instead of the plan, cut the power of all NATS nodes after Over; needs root
	// LazySync lets NATS sync when it likes to, its default. It is the negative
	// control of PowerCut: the run reports what was lost and checks nothing else.
	LazySync bool
	// Corrupt harms files of NATS nodes over Over, instead of the plan.
	Corrupt Corruption
	// EngineAway takes ClickHouse away for so long, instead of the plan, while
	// the oldest messages are nowhere else.
	EngineAway time.Duration
	// Points kills a services process at every failpoint, instead of the plan.
	Points bool
	// Control is the negative control to do instead of the plan; nil for none.
	Control *Control
}

// plan is what happens to the run.
func (c Config) plan() []Fault {
	if c.Control != nil {
		return c.Control.Plan
	}
	if c.Points {
		return PointPlan(c.Seed)
	}
	return Plan(c.Seed, c.Over, c.Zombie)
}

// Limits of a run's phases. They are generous: to exceed one fails the run.
const (
	startWithin  = 90 * time.Second
	settleWithin = 60 * time.Second
	rowsWithin   = 60 * time.Second
	lazyWithin   = 15 * time.Second
)

// run is one run under way.
type run struct {
	Config
	*deployment
	disk    *disk // nil for none
	began   time.Time
	report  *Report
	groups  []string
	senders []*sender
	readers []*reader
	attrs   []*attrWorker // none where the product has no attributes
	calm    chan struct{} // closed when drowsy readers must stay awake
	acked   atomic.Int64

	// Of a run without ClickHouse: what was purged before, and what was asked.
	purged []Replica
	asked  []Asked
}

func (r *run) clock() time.Duration { return time.Since(r.began) }

// harnessError is a failure of the driver itself, which says nothing about the
// product.
type harnessError struct{ err error }

// Error implements [error].
func (e *harnessError) Error() string { return e.err.Error() }

// Run does one run. The report says what was found; an error means that the run
// itself could not be done. What the processes printed and, where something was
// found, the history stay in the report's folder.
func Run(ctx context.Context, c Config) (report Report, err error) {
	report = Report{Seed: c.Seed}
	report.Dir = filepath.Join(c.Dir, fmt.Sprintf("seed-%d", c.Seed))
	if err := os.RemoveAll(report.Dir); err != nil {
		return report, err
	}
	if err := os.MkdirAll(report.Dir, 0o755); err != nil {
		return report, err
	}
	r := &run{Config: c, began: time.Now(), report: &report, calm: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := startWithin
	if c.EngineAway > 0 {
		patience *= 2
	}
	starting, started := context.WithTimeout(ctx, patience)
	defer started()
	store := report.Dir
	if c.PowerCut {
		if r.disk, err = newDisk(ctx, report.Dir); err != nil {
			return report, fmt.Errorf("make a disk: %w", err)
		}
		store = r.disk.mount
		defer r.disk.close()
	}
	r.deployment, err = begin(starting, ctx, c, report.Dir, store)
	defer func() { err = errors.Join(err, r.stop()) }()
	if err != nil {
		return report, fmt.Errorf("start: %w", err)
	}
	if err := r.populate(starting); err != nil {
		return report, fmt.Errorf("make groups: %w", err)
	}
	if c.EngineAway > 0 {
		if err := r.coldStart(starting); err != nil {
			return report, fmt.Errorf("make old messages: %w", err)
		}
	}
	history, err := r.work(ctx)
	switch {
	case ctx.Err() != nil:
		return report, ctx.Err()
	case errors.As(err, new(*harnessError)):
		return report, err
	case err != nil:
		report.Verdict, err = stuck(err), nil
	default:
		report.Verdict = Check(history)
	}
	if c.LazySync {
		report.Verdict = report.Verdict.only(LostPrefix, LostMiddle, LostPostfix)
	}
	if c.Corrupt != Intact {
		report.Diverged = report.Verdict.Counts[Diverged]
		report.Verdict = report.Verdict.without(Diverged)
	}
	report.measure(history)
	report.Elapsed = r.clock()
	if !report.Verdict.OK() {
		err = save(filepath.Join(report.Dir, "history.json"), history)
	}
	return report, errors.Join(err, save(filepath.Join(report.Dir, "report.json"), report))
}

// work lets everybody work while faults happen, and collects what they saw.
func (r *run) work(ctx context.Context) (History, error) {
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stopReading()
	for _, one := range r.readers {
		readers.Go(func() { one.run(reading) })
	}
	stop := make(chan struct{})
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	var senders sync.WaitGroup
	for _, one := range r.senders {
		senders.Go(func() { one.run(sending, stop) })
	}
	contested := r.startContest(sending, stop)
	pause(ctx, time.Second) // some quiet before
	switch {
	case r.PowerCut:
		if err := r.powerCut(ctx); err != nil {
			return History{}, &harnessError{err}
		}
	case r.Corrupt != Intact:
		if err := r.corrupt(ctx); err != nil {
			return History{}, &harnessError{err}
		}
	case r.EngineAway > 0:
		r.engineAway(ctx)
	default:
		n := &nemesis{deployment: r.deployment, clock: r.clock}
		n.run(ctx, r.plan())
		r.report.Faults = n.done
	}
	pause(ctx, time.Second) // and after
	close(stop)
	patience := settleWithin
	if r.LazySync {
		patience = lazyWithin // there may be nobody left to answer
	}
	giveUp := time.AfterFunc(patience, stopSending)
	senders.Wait()
	attrs := contested()
	close(r.calm)
	giveUp.Stop()
	if err := ctx.Err(); err != nil {
		return History{}, err
	}
	h := History{Partitions: partitions, Outages: outages(r.report.Faults), Asked: r.asked, Attrs: attrs}
	if r.LazySync {
		var err error
		h.Replicas, err = r.remains(ctx)
		r.sent(&h)
		return h, err
	}
	settling, settled := context.WithTimeout(ctx, settleWithin)
	defer settled()
	if err := until(settling, "all nats nodes are well", func() bool { return r.healthy(settling, -1) }); err != nil {
		return h, err
	}
	for _, listen := range r.listen {
		if err := until(settling, "edge is ready", func() bool { return answers(settling, "http://"+listen+"/readyz") }); err != nil {
			return h, err
		}
	}
	r.resend(settling)
	var err error
	if h.Replicas, err = r.replicas(settling); err != nil {
		return h, err
	}
	h.Replicas = withPurged(r.purged, h.Replicas)
	newest := heads(h.Replicas)
	_ = until(settling, "every reader has everything", func() bool { // what is missing the checker finds
		return !slices.ContainsFunc(r.readers, func(one *reader) bool { return one.through() < newest[one.at] })
	})
	stopReading()
	readers.Wait()
	if err := r.sources(ctx, &h, newest); err != nil {
		return h, err
	}
	r.sent(&h)
	for _, one := range r.readers {
		list := Reader{Channel: one.at, Name: one.name, Slow: one.drowsy != nil}
		for _, s := range one.subscriptions {
			list.Subscriptions = append(list.Subscriptions, *s)
		}
		h.Readers = append(h.Readers, list)
	}
	for _, p := range r.processes() {
		p.mu.Lock()
		r.report.Crashes += p.crashes
		p.mu.Unlock()
		if said := p.panicked(); said != "" {
			h.Deaths = append(h.Deaths, said)
		}
	}
	return h, nil
}

// sent adds what the senders did.
func (r *run) sent(h *History) {
	for _, s := range r.senders {
		for _, send := range s.sends {
			h.Sends = append(h.Sends, *send)
		}
	}
}

// resend repeats a part of what was sent, at both edges: the answer must be the
// first one's.
func (r *run) resend(ctx context.Context) {
	var all sync.WaitGroup
	for i, s := range r.senders {
		all.Go(func() {
			conn, err := dial(ctx, r.listen[i%2], s.user, nil)
			if err != nil {
				return
			}
			defer conn.close()
			s.conns++
			step := max(1, len(s.sends)/20)
			for j := i % step; j < len(s.sends); j += step {
				f := s.launch(conn, s.sends[j], i%2)
				if f == nil {
					return
				}
				if _, alive := s.land(f); !alive {
					return
				}
			}
		})
	}
	all.Wait()
}

// outages are the times in which edges could not answer, and a moment after.
func outages(faults []Injected) (list []Outage) {
	for _, i := range faults {
		var edge int
		if _, err := fmt.Sscanf(i.Target, "edge-%d", &edge); err == nil && i.Skipped == "" {
			list = append(list, Outage{Edge: edge, From: i.Began, To: i.Ended + 2*time.Second})
		}
	}
	return list
}
