package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// stack runs parts that stand on each other, and ends them from the top: who
// takes work in stops before who does it. It is owned by one goroutine.
type stack struct {
	logger *slog.Logger
	parts  []part
	failed chan error // the first part's error that ended by itself; holds one per part
}

type part struct {
	name   string
	cancel context.CancelFunc
	ended  chan error // holds one
}

// stopWithin is how long a part may take to end. Together with what is above
// it `dev` ends within 10 s.
const stopWithin = 6 * time.Second

func newStack(logger *slog.Logger) *stack {
	return &stack{logger: logger, failed: make(chan error, 16)}
}

// start runs a part on top of the others.
func (s *stack) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := part{name: name, cancel: cancel, ended: make(chan error, 1)}
	s.parts = append(s.parts, p)
	go func() { // ends with run; stop waits for it
		err := run(ctx)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("ended by itself")
			}
			s.failed <- fmt.Errorf("%s: %w", name, err)
		}
		p.ended <- err
	}()
}

// stop ends all parts, the last started first.
func (s *stack) stop() error {
	var problems []error
	for i := len(s.parts) - 1; i >= 0; i-- {
		p := s.parts[i]
		p.cancel()
		select {
		case err := <-p.ended:
			if err != nil && !errors.Is(err, context.Canceled) {
				problems = append(problems, fmt.Errorf("%s: %w", p.name, err))
			}
		case <-time.After(stopWithin):
			problems = append(problems, fmt.Errorf("%s did not end within %v", p.name, stopWithin))
		}
	}
	s.parts = nil
	return errors.Join(problems...)
}

// wait returns when ctx ends (nil) or a part does (its error).
func (s *stack) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}
