//go:build linux

// Command cmd runs fault campaigns: `task faults RUNS=10 SEED=1`.
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

func main() {
	engine.Main() // this very binary is also the engine's child process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	runs := flag.Int("runs", 1, "runs, each with the next seed")
	seed := flag.Uint64("seed", 1, "of the first run's plan")
	over := flag.Duration("over", 12*time.Second, "time in which faults begin")
	zombie := flag.Duration("zombie", 5*time.Second, "time for which one services process is frozen in each run")
	dir := flag.String("dir", filepath.Join(os.TempDir(), "throng-faults"), "folder of the runs and binaries")
	keep := flag.Bool("keep", false, "keep the data of runs without findings too")
	binary := flag.String("throng", "", "binary under test; empty: built from this source")
	cut := flag.Bool("powercut", false, "cut the power of all NATS nodes instead of the plan; needs root")
	lazy := flag.Bool("lazy", false, "with -powercut: NATS syncs as by its default, and what is acknowledged must be found lost")
	flag.Parse()
	c := faults.Config{PowerCut: *cut, LazySync: *lazy, Dir: *dir, Over: *over, Zombie: *zombie, Throng: filepath.Join(*dir, "throng"), NATSServer: filepath.Join(*dir, "nats-server")}
	builds := map[string]string{
		c.Throng:     "github.com/throng/throng/ops/cmd/throng",
		c.NATSServer: "github.com/nats-io/nats-server/v2",
	}
	if *binary != "" {
		delete(builds, c.Throng)
		c.Throng = *binary
	}
	for path, pkg := range builds {
		build := exec.CommandContext(ctx, "go", "build", "-tags", "failpoints", "-o", path, pkg)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", pkg, err)
		}
	}
	return campaign(ctx, c, *runs, *seed, *keep)
}

var errFindings = errors.New("promises were broken")

func campaign(ctx context.Context, c faults.Config, runs int, seed uint64, keep bool) error {
	var alone, all []time.Duration // takeovers after kill -9
	failed := 0
	for i := range runs {
		c.Seed = seed + uint64(i)
		report, err := faults.Run(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed++
			fmt.Printf("seed %d: ERROR %v (%s)\n", c.Seed, err, report.Dir)
			continue
		}
		fmt.Println(report)
		if c.LazySync { // the negative control
			if report.Verdict.Lost() == 0 {
				failed++
				fmt.Println("  nothing was lost: this run cannot tell a power cut from none")
			}
			continue
		}
		for _, t := range report.Takeovers {
			if t.Action == faults.Kill {
				all = append(all, t.Took)
				if t.Alone {
					alone = append(alone, t.Took)
				}
			}
		}
		if report.Verdict.OK() {
			if !keep {
				_ = os.RemoveAll(report.Dir) // what is left the next run removes
			}
			continue
		}
		failed++
		fmt.Println("  kept in", report.Dir)
		for _, f := range report.Faults {
			fmt.Printf("  %6.2fs to %6.2fs %v %s\n", f.Began.Seconds(), f.Ended.Seconds(), f.Fault, f.Skipped)
		}
		for _, v := range report.Verdict.Violations {
			fmt.Printf("  %s: %s\n", v.Kind, v.Detail)
		}
	}
	for name, took := range map[string][]time.Duration{"with nothing else broken": alone, "in all": all} {
		fmt.Printf("takeover after kill -9, %s: %d, p50 %.2fs, p99 %.2fs\n", name, len(took),
			faults.Percentile(took, 50).Seconds(), faults.Percentile(took, 99).Seconds())
	}
	fmt.Printf("%d runs, %d failed\n", runs, failed)
	if failed > 0 {
		return errFindings
	}
	return nil
}
