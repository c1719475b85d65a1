package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockPoll is how often a held lock is tried again. The kernel could block for us, but not until ctx is done.
const lockPoll = 50 * time.Millisecond

// errLocked is returned by tryLock when somebody else has the lock.
var errLocked = errors.New("locked by another process")

// tryLock takes the file lock at path or returns errLocked. The kernel lets go when the last descriptor of this open
// file closes, so a lock never outlives the processes that hold it, however they end. Go opens files close-on-exec:
// a child holds the lock only if it is handed the file.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

// lock takes the file lock at path, waiting for whoever has it until ctx is done. waiting is called once when there is
// somebody to wait for.
func lock(ctx context.Context, path string, waiting func()) (*os.File, error) {
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		file, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return file, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
