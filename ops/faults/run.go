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

	"github.com/throng/throng/streams"
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
}

// load is what a run's users do. Two groups a partition.
const (
	groupsEach = 2
	readersFor = 2 // of each channel
	pace       = 15 * time.Millisecond
)

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
	acked   atomic.Int64
}

func (r *run) clock() time.Duration { return time.Since(r.began) }

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
	r := &run{Config: c, began: time.Now(), report: &report}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	starting, started := context.WithTimeout(ctx, startWithin)
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
	history, err := r.work(ctx)
	if err != nil {
		return report, err
	}
	report.Verdict = Check(history)
	if c.LazySync {
		report.Verdict = report.Verdict.only(LostPrefix, LostMiddle, LostPostfix)
	}
	report.measure(history)
	report.Elapsed = r.clock()
	if !report.Verdict.OK() {
		err = save(filepath.Join(report.Dir, "history.json"), history)
	}
	return report, errors.Join(err, save(filepath.Join(report.Dir, "report.json"), report))
}

// populate makes the groups, two in every partition, with the owner in them.
func (r *run) populate(ctx context.Context) error {
	count := map[streams.Partition]int{}
	for i := 0; len(r.groups) < partitions*groupsEach; i++ {
		name := fmt.Sprintf("g%d", i)
		p := streams.PartitionOf(streams.Group(name), partitions)
		if count[p] < groupsEach {
			count[p]++
			r.groups = append(r.groups, name)
		}
	}
	call := func(user, command string, arguments map[string]any) error {
		conn, err := dial(ctx, r.listen[0], user, nil)
		if err != nil {
			return err
		}
		defer conn.close()
		return insist(conn, command, arguments, nil)
	}
	for i, g := range r.groups {
		if err := call("owner", "create_group", map[string]any{"group": g, "kind": "community", "name": g}); err != nil {
			return err
		}
		if err := call("owner", "create_channel", map[string]any{"group": g, "channel": "general", "kind": "public", "name": "general"}); err != nil {
			return err
		}
		at := Channel{g, "general"}
		users := []string{fmt.Sprintf("single%d", i), fmt.Sprintf("window%d", i)}
		for j, user := range append(users, "reader") {
			if err := call(user, "join", map[string]any{"group": g}); err != nil {
				return err
			}
			if user == "reader" {
				continue
			}
			r.senders = append(r.senders, &sender{
				Channel: at, user: user, listen: r.listen, edge: (i + j) % 2, window: 1 + 3*j, twin: j == 0 && i%4 == 0,
				pace: pace * time.Duration(2), clock: r.clock, acked: &r.acked,
			})
		}
		for j := range readersFor {
			r.readers = append(r.readers, &reader{
				name: fmt.Sprintf("reader %d of %s", j, g), user: "reader", at: at, listen: r.listen, edge: j % 2, have: map[uint64]struct{}{},
			})
		}
	}
	r.senders = append(r.senders, &sender{
		Channel: Channel{r.groups[0], "general"}, user: "stranger", listen: r.listen, window: 1, forbidden: true,
		pace: 20 * pace, clock: r.clock, acked: &r.acked,
	})
	return nil
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
	pause(ctx, time.Second) // some quiet before
	if r.PowerCut {
		if err := r.powerCut(ctx); err != nil {
			return History{}, err
		}
	} else {
		n := &nemesis{deployment: r.deployment, clock: r.clock}
		n.run(ctx, Plan(r.Seed, r.Over, r.Zombie))
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
	giveUp.Stop()
	if err := ctx.Err(); err != nil {
		return History{}, err
	}
	h := History{Partitions: partitions, Outages: outages(r.report.Faults)}
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
		list := Reader{Channel: one.at, Name: one.name}
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

// sources reads what the edges and ClickHouse say.
func (r *run) sources(ctx context.Context, h *History, newest map[Channel]uint64) error {
	waiting, waited := context.WithTimeout(ctx, rowsWithin)
	defer waited()
	rows, err := r.rows(waiting, newest)
	if err != nil {
		return err
	}
	h.Sources = rows
	for i, listen := range r.listen {
		conn, err := dial(ctx, listen, "reader", nil)
		if err != nil {
			return err
		}
		defer conn.close()
		for _, g := range r.groups {
			at := Channel{g, "general"}
			pulled, err := pulledFrom(conn, at)
			if err != nil {
				return fmt.Errorf("pull %v at edge %d: %w", at, i, err)
			}
			messages, err := historyFrom(conn, at)
			if err != nil {
				return fmt.Errorf("history %v at edge %d: %w", at, i, err)
			}
			h.Sources = append(h.Sources,
				Source{Channel: at, Name: fmt.Sprintf("pull at edge %d", i), Entries: pulled},
				Source{Channel: at, Name: fmt.Sprintf("history at edge %d", i), Messages: true, Entries: messages})
		}
	}
	return nil
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
