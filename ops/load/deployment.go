package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Deployment is `throng dev` and, beside it, an edge in a process of its own.
type Deployment struct {
	EdgeURL string // of the WebSocket
	EdgePID int

	processes []*exec.Cmd
}

// startWithin is how long a process may take until it says where it is.
const startWithin = time.Minute

var (
	natsAt = regexp.MustCompile(`nats://127\.0\.0\.1:\d+`)
	edgeAt = regexp.MustCompile(`edge runs.*address=(\S+)`)
)

// StartDeployment starts both from a binary, with their data in a directory.
// Whatever it returns, Stop ends what was started.
func StartDeployment(ctx context.Context, throng, dir string) (*Deployment, error) {
	d := &Deployment{}
	nats, err := d.start(ctx, natsAt, throng, "dev", "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0",
		"--clickhouse-listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--log-level", "warn")
	if err != nil {
		return d, err
	}
	edge, err := d.start(ctx, edgeAt, throng, "edge", "--nats", nats[0], "--listen", "127.0.0.1:0")
	if err != nil {
		return d, err
	}
	d.EdgeURL, d.EdgePID = "ws://"+edge[1]+"/v1/ws", d.processes[len(d.processes)-1].Process.Pid
	return d, nil
}

// start starts a process and waits until it says what is looked for.
func (d *Deployment) start(ctx context.Context, sought *regexp.Regexp, command string, args ...string) ([]string, error) {
	child := exec.Command(command, args...) // Stop ends it: it is to end in order
	reader, writer := io.Pipe()
	child.Stdout, child.Stderr = writer, writer
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	d.processes = append(d.processes, child)
	found := make(chan []string, 1) // holds one
	go func() {                     // ends when the process has: nothing writes any more then
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			if match := sought.FindStringSubmatch(lines.Text()); match != nil {
				select {
				case found <- match:
				default:
				}
			}
		}
	}()
	timer := time.NewTimer(startWithin)
	defer timer.Stop()
	select {
	case match := <-found:
		return match, nil
	case <-timer.C:
		return nil, fmt.Errorf("%s is not ready in time", args[0])
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Stop ends the processes, the last first.
func (d *Deployment) Stop() (err error) {
	for i := len(d.processes) - 1; i >= 0; i-- {
		p := d.processes[i]
		_ = p.Process.Signal(syscall.SIGTERM) // it may have ended
		err = errors.Join(err, p.Wait())
		if w, ok := p.Stdout.(*io.PipeWriter); ok {
			_ = w.Close()
		}
	}
	return err
}
