package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// used is what a process has used so far, from /proc; zero where there is none.
type used struct {
	cpu      time.Duration // user and system
	resident int64         // bytes
}

// clockTick is USER_HZ, which is 100 on every Linux Go runs on.
const clockTick = 10 * time.Millisecond

func usage(pid int) used {
	var u used
	if pid == 0 {
		return u
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u
	}
	// The name in parentheses may hold spaces: count from behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) > 21 {
		user, _ := strconv.ParseInt(fields[11], 10, 64)
		system, _ := strconv.ParseInt(fields[12], 10, 64)
		pages, _ := strconv.ParseInt(fields[21], 10, 64)
		u.cpu, u.resident = time.Duration(user+system)*clockTick, pages*int64(os.Getpagesize())
	}
	return u
}
