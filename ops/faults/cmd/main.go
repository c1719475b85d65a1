//go:build linux

// Command cmd runs fault campaigns: `task faults RUNS=10 SEED=1`.
//
// It ends with 0 if nothing was found, with 1 if promises were broken or a
// negative control was not caught, and with 2 if runs could not be done.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/throng/throng/ops/faults"
	"github.com/throng/throng/projections/engine"
)

var (
	errFindings = errors.New("promises were broken")
	errUnable   = errors.New("runs could not be done")
)

func main() {
	engine.Main() // this very binary is also the engine's child process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		if errors.Is(err, errFindings) {
			os.Exit(1)
		}
		os.Exit(2)
	}
}

func run(ctx context.Context) error {
	c := campaign{}
	flag.IntVar(&c.runs, "runs", 1, "runs, each with the next seed")
	flag.Uint64Var(&c.seed, "seed", 1, "of the first run's plan")
	flag.DurationVar(&c.Over, "over", 12*time.Second, "time in which faults begin")
	flag.DurationVar(&c.Zombie, "zombie", 5*time.Second, "time for which one services process is frozen in each run")
	flag.DurationVar(&c.longZombie, "long-zombie", 30*time.Second, "the same in each -long-zombie-every-th run")
	flag.IntVar(&c.longEvery, "long-zombie-every", 0, "how often a run has the long zombie; 0 for never")
	flag.StringVar(&c.Dir, "dir", filepath.Join(os.TempDir(), "throng-faults"), "folder of the runs and binaries")
	flag.BoolVar(&c.keep, "keep", false, "keep the data of runs without findings too")
	flag.StringVar(&c.json, "json", "", "file to which each run's report is appended as one line")
	flag.BoolVar(&c.PowerCut, "powercut", false, "cut the power of all NATS nodes instead of the plan; needs root")
	flag.BoolVar(&c.LazySync, "lazy", false, "with -powercut: NATS syncs as by its default, and what is acknowledged must be found lost")
	flag.TextVar(&c.Corrupt, "corrupt", faults.Intact, "instead of the plan, harm the files of one NATS node while it is down: flip, truncate or wal")
	flag.DurationVar(&c.EngineAway, "engine-away", 0, "instead of the plan, ClickHouse is away for so long")
	flag.BoolVar(&c.Points, "points", false, "instead of the plan, kill a services process at each failpoint in turn")
	control := flag.String("control", "", "switch a protection off and fail if that is not noticed: fence, dedup, contiguity or all")
	takeover := flag.Bool("takeover", false, "measure takeovers over -runs kills of a services process with 1,000 groups in use")
	binary := flag.String("throng", "", "binary under test; empty: built from this source, with the tag failpoints")
	flag.Parse()
	if err := c.build(ctx, *binary); err != nil {
		return err
	}
	switch {
	case *takeover:
		return measure(ctx, c.Config, c.runs)
	case *control != "":
		return c.controls(ctx, *control)
	}
	return c.all(ctx)
}

// build makes the binaries that are not given.
func (c *campaign) build(ctx context.Context, binary string) error {
	c.Throng, c.NATSServer = filepath.Join(c.Dir, "throng"), filepath.Join(c.Dir, "nats-server")
	builds := map[string]string{
		c.Throng:     "github.com/throng/throng/ops/cmd/throng",
		c.NATSServer: "github.com/nats-io/nats-server/v2",
	}
	if binary != "" {
		delete(builds, c.Throng)
		c.Throng = binary
	}
	for path, pkg := range builds {
		build := exec.CommandContext(ctx, "go", "build", "-tags", "failpoints", "-o", path, pkg)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", pkg, err)
		}
	}
	return nil
}
