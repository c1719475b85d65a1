package engine

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// childArgument is argv[1] of a child. No subcommand and no test flag can look like it, and an environment variable
// would be inherited by every process the product or a test starts.
const childArgument = "@engine"

// orphanGrace is how long the engine may take to end once its parent is gone. It exceeds stopGrace, so a living parent
// always decides first.
const orphanGrace = 10 * time.Second

// Exit codes of a child, besides those of a crash.
const (
	exitStopped = 0 // stdin was closed and the engine ended
	exitFailed  = 1 // anything else; the reason is on stderr
)

// Main turns this process into an engine if it was started as one, and then never returns; otherwise it returns at
// once. Call it before anything else in main and in TestMain.
func Main() {
	if len(os.Args) < 3 || os.Args[1] != childArgument {
		return
	}
	os.Exit(runChild(os.Args[2], os.Args[3:]))
}

// runChild runs the engine in the library at libPath with the given command line until stdin is closed.
func runChild(libPath string, args []string) int {
	// The engine opens stdin again through /dev/fd/0, so both see the end of the same pipe; nobody ever writes to it.
	// This goroutine lives as long as the process, by intent: it is the one that still works when the engine hangs.
	var closed atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		closed.Store(true)
		time.Sleep(orphanGrace)
		fmt.Fprintln(os.Stderr, "engine did not end within", orphanGrace, "after its parent closed stdin")
		os.Exit(exitFailed)
	}()

	local, err := loadLibrary(libPath)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load the engine:", err)
		return exitFailed
	}
	if text := local(args); text != "" {
		fmt.Fprintln(os.Stderr, "engine:", text)
	}
	if !closed.Load() {
		// Not only a crash: a taken port and a locked path end here too, reported on stderr and nowhere else.
		fmt.Fprintln(os.Stderr, "engine ended although nobody asked it to")
		return exitFailed
	}
	return exitStopped
}
