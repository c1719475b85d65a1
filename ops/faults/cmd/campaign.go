//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/throng/throng/ops/faults"
)

// campaign is many runs.
type campaign struct {
	faults.Config // of each run, but for the seed
	runs          int
	seed          uint64
	longZombie    time.Duration
	longEvery     int
	keep          bool
	json          string
}

// attempts is how often a run is tried that could not be done: a machine that
// is short of something for a moment is no finding.
const attempts = 2

// all does the runs and prints what they found.
func (c *campaign) all(ctx context.Context) error {
	var summary faults.Summary
	unable := 0
	for i := range c.runs {
		one := c.Config
		one.Seed = c.seed + uint64(i)
		if c.longEvery > 0 && i%c.longEvery == c.longEvery-1 {
			one.Zombie = c.longZombie
		}
		report, err := c.one(ctx, one, &summary)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if report.Error != "" {
			unable++
		}
	}
	fmt.Print("\n", &summary)
	switch {
	case summary.Broken > 0:
		return errFindings
	case unable > 0:
		return errUnable
	}
	return nil
}

// one does a run, prints what it found, and adds it to the summary.
func (c *campaign) one(ctx context.Context, config faults.Config, summary *faults.Summary) (report faults.Report, err error) {
	for range attempts {
		report, err = faults.Run(ctx, config)
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		if err != nil {
			report.Error = err.Error()
		}
		if config.LazySync && report.Error == "" { // the negative control
			report.Verdict = inverted(report.Verdict)
		}
		fmt.Println(report)
		summary.Add(report)
		if err := c.write(report); err != nil {
			return report, err
		}
		if report.Error == "" {
			break
		}
	}
	switch {
	case report.Error == "" && !report.Verdict.OK():
		fmt.Print(report.Told())
	case report.Error == "" && !c.keep:
		_ = os.RemoveAll(report.Dir) // what is left the next run removes
	}
	return report, nil
}

// inverted is the verdict on a run that had to lose something.
func inverted(v faults.Verdict) faults.Verdict {
	if v.Lost() > 0 {
		fmt.Printf("  as it must be, %d acknowledged messages were lost\n", v.Lost())
		return faults.Verdict{Events: v.Events}
	}
	v.Counts = map[faults.Kind]int{faults.Uncaught: 1}
	v.Violations = []faults.Violation{{Kind: faults.Uncaught, Detail: "nothing was lost: this run cannot tell a power cut from none"}}
	return v
}

// write appends a report to the file of all.
func (c *campaign) write(report faults.Report) error {
	if c.json == "" {
		return nil
	}
	line, err := json.Marshal(report)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.json, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// controls does each negative control, at most runs times, until it is caught.
func (c *campaign) controls(ctx context.Context, name string) error {
	missed := []string{}
	known := false
	for _, control := range faults.Controls {
		if name != "all" && name != control.Name {
			continue
		}
		known = true
		caught := false
		for i := 0; i < c.runs && !caught; i++ {
			one := c.Config
			one.Seed, one.Control = c.seed+uint64(i), &control
			report, err := faults.Run(ctx, one)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				fmt.Printf("without %s: ERROR %v (%s)\n", control.Name, err, report.Dir)
				continue
			}
			caught = report.Verdict.Counts[control.Want] > 0
			fmt.Printf("without %s: %v\n", control.Name, report)
			if i := slices.IndexFunc(report.Verdict.Violations, func(v faults.Violation) bool { return v.Kind == control.Want }); i >= 0 {
				fmt.Printf("  caught: %s: %s\n", control.Want, report.Verdict.Violations[i].Detail)
			}
			if !c.keep {
				_ = os.RemoveAll(report.Dir)
			}
		}
		if !caught {
			missed = append(missed, control.Name)
		}
	}
	switch {
	case !known:
		return fmt.Errorf("no control is called %q", name)
	case len(missed) > 0:
		return fmt.Errorf("%w: without %v nothing was noticed", errFindings, missed)
	}
	return nil
}
