//go:build unix

package engine_test

import (
	"context"
	"fmt"
	"os"

	"github.com/throng/throng/projections/engine"
)

// A program that calls engine.Main first can run ClickHouse. Errors of the example's surroundings are left out.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	libPath, err := engine.Fetch(ctx, engine.FetchConfig{Progress: os.Stderr})
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, _ := os.MkdirTemp("", "throng-example-")
	defer os.RemoveAll(dir)
	e, err := engine.New(engine.Config{LibPath: libPath, DataDir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	if err := e.WaitReady(ctx); err == nil {
		fmt.Println("ready") // clients use e.DSN() + "default"
	}
	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// ready
	// ended: <nil>
}
