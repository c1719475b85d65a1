//go:build linux

package main

import (
	"context"
	"fmt"

	"github.com/throng/throng/ops/faults"
)

// measure measures takeovers.
func measure(ctx context.Context, c faults.Config, runs int) error {
	measured, err := faults.MeasureTakeovers(ctx, c, runs, func(line string) { fmt.Println(line) })
	fmt.Println(measured)
	return err
}
