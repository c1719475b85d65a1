package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALogIsRotatedAtAStartAndEmptiedWhileItGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.log")
	log := openTestLog(t, path)
	write(t, log, strings.Repeat("a", logKeep))
	log.close()

	log = openTestLog(t, path)
	write(t, log, "b")
	if got := size(t, path); got != logKeep+1 {
		t.Errorf("a log of the size that is kept: got %d bytes, want %d", got, logKeep+1)
	}
	log.close()

	log = openTestLog(t, path)
	defer log.close()
	if got := size(t, path+".1"); got != logKeep+1 {
		t.Errorf("the previous log: got %d bytes, want %d", got, logKeep+1)
	}
	write(t, log, strings.Repeat("c", logLimit+1))
	if err := log.bound(); err != nil {
		t.Fatal(err)
	}
	write(t, log, "after")
	if got := size(t, path); got != int64(len("after")) {
		t.Errorf("a log that outgrew its limit: got %d bytes, want %d", got, len("after"))
	}
	if got := log.said(); got != "after" {
		t.Errorf("said: got %q, want %q", got, "after")
	}
}

func TestALogQuotesOnlyTheEndOfWhatItsOwnChildSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.log")
	log := openTestLog(t, path)
	write(t, log, "the child before\n")
	log.close()
	log = openTestLog(t, path)
	defer log.close()
	if got, want := log.said(), "(it said nothing)"; got != want {
		t.Errorf("a silent child: got %q, want %q", got, want)
	}
	write(t, log, strings.Repeat("long ", logTail)+"end\n")
	if got := log.said(); len(got) > logTail || !strings.HasSuffix(got, "long end") {
		t.Errorf("a talkative child: got %d bytes ending in %q", len(got), got[max(0, len(got)-10):])
	}
}

func openTestLog(t testing.TB, path string) *logFile {
	t.Helper()
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func write(t testing.TB, log *logFile, text string) {
	t.Helper()
	if _, err := log.file.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func size(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
