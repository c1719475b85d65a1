//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// blocks are the files of a node that a corruption may harm: those of the logs,
// or those in which the nodes agree on what is in them.
func (k Corruption) blocks(store string) (files []string, err error) {
	err = filepath.WalkDir(store, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".blk" {
			return err
		}
		inside := strings.Contains(path, "/streams/LOG_") && !strings.Contains(path, "/obs/")
		if k == FlipWAL {
			inside = strings.Contains(path, "/_js_/")
		}
		if info, err := entry.Info(); err == nil && info.Size() > 0 && inside {
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// flips is how many bits of a file are turned over.
const flips = 3

// harm harms each file of a stopped node and tells what was done.
func (k Corruption) harm(random *rand.Rand, store string) (done []string, err error) {
	files, err := k.blocks(store)
	if err == nil && len(files) == 0 {
		err = errors.New("there is nothing to harm in " + store)
	}
	for _, path := range files {
		data, readErr := os.ReadFile(path)
		if readErr != nil {
			return done, readErr
		}
		name := strings.TrimPrefix(path, store)
		if k == Truncate {
			keep := len(data) - 1 - random.IntN(max(1, len(data)/3))
			done = append(done, fmt.Sprintf("%s: %d of %d bytes left", name, keep, len(data)))
			if err := os.Truncate(path, int64(keep)); err != nil {
				return done, err
			}
			continue
		}
		for range flips {
			at := random.IntN(len(data))
			data[at] ^= 1 << random.IntN(8)
			done = append(done, fmt.Sprintf("%s: a bit at %d of %d", name, at, len(data)))
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return done, err
		}
	}
	return done, err
}

const (
	harmEvery  = 2 * time.Second // between the recovery of a node and the next harm
	harmDown   = 500 * time.Millisecond
	harmWithin = 40 * time.Second // a harmed node is well again, or it is not waited for
)

// corrupt harms the files of one NATS node again and again while it is down.
// What was acknowledged must be there for readers all the same, since two others
// have it, or whoever reads must be told. That the node's copy stays harmed is
// reported and no violation of ours.
func (r *run) corrupt(ctx context.Context) error {
	random := rand.New(rand.NewPCG(r.Seed, 0x626974))
	p := r.nats[random.IntN(nodes)]
	for began := time.Now(); time.Since(began) < r.Over && pause(ctx, harmEvery); {
		one := Injected{Fault: Fault{Target: p.name, Action: Action(r.Corrupt)}, Began: r.clock()}
		how := "killed"
		if random.IntN(2) == 0 {
			how = "ended" // it writes down what it has, and believes that at the next start
			p.terminate(10 * time.Second)
		} else {
			p.kill()
		}
		done, err := r.Corrupt.harm(random, filepath.Join(r.dir, p.name))
		if err != nil {
			return err
		}
		one.Detail = append([]string{how}, done...)
		pause(ctx, harmDown)
		if err := p.start(ctx); err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, harmWithin)
		err = until(within, "well", func() bool { return r.healthy(within, -1) })
		cancel()
		if err != nil && ctx.Err() == nil {
			// It does not come back, and says so. What an operator does then: give
			// it an empty folder, and it takes everything from the others.
			one.Detail = append(one.Detail, "not well again: its folder was emptied")
			r.report.Unwell++
			p.kill()
			if err := os.RemoveAll(filepath.Join(r.dir, p.name)); err != nil {
				return err
			}
			if err := p.start(ctx); err != nil {
				return err
			}
			if err := until(ctx, "well with an empty folder", func() bool { return r.healthy(ctx, -1) || r.clock() > one.Began+3*harmWithin }); err != nil {
				return err
			}
		}
		one.Ended = r.clock()
		r.report.Faults = append(r.report.Faults, one)
	}
	return ctx.Err()
}

// asking is how a run reads at rest. Of a harmed log it may be told that it
// cannot be read there, which is counted, and asks again: another node may answer.
func (r *run) asking(conn *connection, command string, arguments map[string]any, ok any) error {
	if r.Corrupt == Intact {
		return insist(conn, command, arguments, ok)
	}
	for deadline := time.Now().Add(harmWithin); ; {
		err := conn.call(command, arguments, ok, answerWithin)
		var refused *refusal
		if !errors.As(err, &refused) || !refused.away() || time.Now().After(deadline) {
			return err
		}
		r.report.Noticed++
		pause(context.Background(), 200*time.Millisecond) // bounded by the deadline
	}
}
