package irc

import (
	"fmt"
	"path/filepath"
	"time"
)

// Day returns the date with which the name of a log begins, such as 2004-12-25 for "2004-12-25.train-c.raw.txt", as
// midnight UTC. Folders before the name are ignored.
func Day(filename string) (time.Time, error) {
	name := filepath.Base(filename)
	date := name[:min(len(name), len(time.DateOnly))]
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return time.Time{}, fmt.Errorf("date of log %q: the name must begin with YYYY-MM-DD: %w", name, err)
	}
	if rest := name[len(date):]; rest != "" && '0' <= rest[0] && rest[0] <= '9' {
		return time.Time{}, fmt.Errorf("date of log %q: the name must begin with YYYY-MM-DD, and a digit follows it", name)
	}
	return day, nil
}
