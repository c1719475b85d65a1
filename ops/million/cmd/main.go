//go:build linux

// Command cmd measures a community of a million members: `task bench:million`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/throng/throng/ops/million"
	"github.com/throng/throng/projections/engine"
)

func main() {
	engine.Main() // this very binary is also the engine's child process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "million:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c := million.Config{Out: os.Stdout}
	flag.IntVar(&c.Members, "members", 1_000_000, "members brought in")
	flag.IntVar(&c.Sends, "sends", 2000, "members that send for the first time, in each way")
	flag.BoolVar(&c.SyncAlways, "sync-always", false, "have NATS sync each write")
	flag.StringVar(&c.Dir, "dir", filepath.Join(os.TempDir(), "throng-million"), "folder of the run's data, which are removed before it, and of the binaries")
	within := flag.Duration("within", 6*time.Minute, "when to give up")
	flag.Parse()
	bin := c.Dir + "-bin"
	c.Throng, c.NATSServer = filepath.Join(bin, "throng"), filepath.Join(bin, "nats-server")
	for path, pkg := range map[string]string{
		c.Throng:     "github.com/throng/throng/ops/cmd/throng",
		c.NATSServer: "github.com/nats-io/nats-server/v2",
	} {
		build := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", pkg, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, *within)
	defer cancel()
	begun := time.Now()
	if err := million.Run(ctx, c); err != nil {
		return fmt.Errorf("%w (what the processes said is in %s)", err, c.Dir)
	}
	_, err := fmt.Printf("%-34s %.0f s\n", "all of it", time.Since(begun).Seconds())
	return err
}
