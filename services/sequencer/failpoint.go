//go:build !failpoints

package sequencer

// failpoint marks a place where the fault driver kills the process. Without the
// build tag «failpoints» it is nothing.
func failpoint(string) {}
