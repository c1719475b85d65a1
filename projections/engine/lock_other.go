//go:build !linux

package engine

import (
	"context"
	"os"
)

// New and Fetch refuse on these systems before anybody could want a lock.

var errLocked = ErrUnsupported

func tryLock(string) (*os.File, error) { return nil, ErrUnsupported }

func lock(context.Context, string, func()) (*os.File, error) { return nil, ErrUnsupported }
