//go:build !linux

package load

import (
	"context"
	"errors"
	"io"
)

// LimitConfig is what a bare loop of write(2) is measured with.
type LimitConfig struct {
	Sessions, Bytes, Burst, Rounds int
	Sink                           []string
}

// LimitReport is what that costs.
type LimitReport struct {
	CPUPerDeliver float64 `json:"cpu_us_per_delivery"`
}

var errLinux = errors.New("the limit is measured on Linux only")

// Limit fails here.
func Limit(context.Context, LimitConfig) (LimitReport, error) { return LimitReport{}, errLinux }

// Sink fails here.
func Sink(context.Context, string, int, int, io.Reader, io.Writer) error { return errLinux }
