package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"strconv"
)

// Config says which library to run on which data. All of it is static.
type Config struct {
	// LibPath is the library's file, as [Fetch] returned it. Required.
	LibPath string

	// DataDir is the directory for the engine's data, locks and log; doc.go lists them. Created when missing. One
	// supervisor at a time. Required.
	DataDir string

	// Listen is the loopback address of the native port, "127.0.0.1:9000". Port 0 picks a free one in New, which then
	// stays the same over restarts of the child. Empty means 127.0.0.1:0.
	Listen string

	// Logger receives starts, restarts and ends of the child. Nil means silence.
	Logger *slog.Logger
}

// withDefaults returns the configuration with its defaults filled in and its paths absolute (the child runs in another
// directory), or all that is wrong with it.
func (c Config) withDefaults() (Config, netip.AddrPort, error) {
	var problems []error
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for _, path := range []struct {
		name  string
		value *string
	}{{"LibPath", &c.LibPath}, {"DataDir", &c.DataDir}} {
		if *path.value == "" {
			problems = append(problems, fmt.Errorf("%s is missing", path.name))
			continue
		}
		absolute, err := filepath.Abs(*path.value)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path.name, err))
		}
		*path.value = absolute
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	listen, err := parseListen(c.Listen)
	if err != nil {
		problems = append(problems, err)
	}
	return c, listen, errors.Join(problems...)
}

func parseListen(text string) (netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen address %q: %w", text, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !addr.IsLoopback() {
		return netip.AddrPort{}, fmt.Errorf("listen address %q: the engine has no password and accepts loopback addresses "+
			"only, such as 127.0.0.1:9000", text)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen address %q: the port is not a number from 0 to 65535", text)
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// Ports we choose from, [portFrom, portTo): below the range from which Linux serves port 0 and outgoing connections
// (32768 and up). The port has to be free again after every restart of the child, and a connection of our own load
// generator must not be sitting on it then.
const (
	portFrom = 20000
	portTo   = 32768
)

// freePort returns a port of host that nobody listens on now.
func freePort(host netip.Addr) (uint16, error) {
	const attempts = 100
	var err error
	for range attempts {
		port := uint16(portFrom + rand.IntN(portTo-portFrom))
		var listener net.Listener
		listener, err = net.Listen("tcp", netip.AddrPortFrom(host, port).String())
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("no free port on %v after %d attempts: %w", host, attempts, err)
}

// supported reports whether the library exists for this system.
func supported() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("%w (this is %s/%s)", ErrUnsupported, runtime.GOOS, runtime.GOARCH)
	}
	return nil
}
