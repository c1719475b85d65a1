package engine

import (
	"fmt"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/ebitengine/purego"
)

// The three functions of the library we call, as C declares them:
//
//	void          chdb_set_signal_handlers_enabled(int enabled);
//	chdb_result * chdb_query_cmdline(int argc, char ** argv);  // clickhouse-local's main
//	const char  * chdb_result_error(chdb_result * result);     // NULL when there was none
//
// They are called through purego, which needs no cgo, so the product stays one `go build` without a C compiler.

// loadLibrary loads the library and returns its command line's entry point, which blocks until the engine has ended and
// returns the engine's error text, if it gave one. It may be called once per process.
func loadLibrary(path string) (local func(args []string) string, err error) {
	// The engine writes to sockets from its own threads; a client that went away is not a reason to die.
	signal.Ignore(syscall.SIGPIPE)

	library, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	var (
		setSignalHandlers func(enabled int32)
		queryCommandLine  func(argc int32, argv **byte) uintptr
		resultError       func(result uintptr) string
	)
	for name, target := range map[string]any{
		"chdb_set_signal_handlers_enabled": &setSignalHandlers,
		"chdb_query_cmdline":               &queryCommandLine,
		"chdb_result_error":                &resultError,
	} {
		symbol, err := purego.Dlsym(library, name)
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w", name, path, err)
		}
		purego.RegisterFunc(target, symbol)
	}

	// First of all calls: otherwise the engine installs crash handlers that wait for minutes to print a stack, and a
	// crash would look like a hang. The call also resets the crash signals to their defaults, Go's own handlers
	// included; this process has no Go code left to run that would miss them.
	setSignalHandlers(0)

	return func(args []string) string {
		// The engine may keep pointers into argv for the life of the process, hence the pinner without an Unpin.
		var pinned runtime.Pinner
		argv := make([]*byte, len(args)+1) // NULL at the end
		for i, arg := range args {
			text := append([]byte(arg), 0)
			pinned.Pin(&text[0])
			argv[i] = &text[0]
		}
		pinned.Pin(&argv[0])
		result := queryCommandLine(int32(len(args)), &argv[0])
		runtime.KeepAlive(&pinned)
		if result == 0 {
			return "no result"
		}
		return resultError(result)
	}, nil
}
