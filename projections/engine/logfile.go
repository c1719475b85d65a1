package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

const (
	// logKeep is the size up to which a start appends to the log, bytes. Above it the log becomes the previous one.
	logKeep = 1 << 20
	// logLimit is the size at which a running child's log is emptied, bytes. The engine logs next to nothing, so whoever
	// gets here repeats itself.
	logLimit = 16 << 20
	// logTail is how much of the log's end an error quotes, bytes.
	logTail = 2 << 10
)

// logFile is the file a child's stdout and stderr go to. The child writes to the file itself and not through us: a pipe
// would break together with the parent, and take the child's last words along.
type logFile struct {
	path string
	file *os.File // opened to append, so that emptying it does not leave a hole
	from int64    // size when this child was started, bytes
}

func openLog(path string) (*logFile, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Size() > logKeep:
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	info, err = file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &logFile{path: path, file: file, from: info.Size()}, nil
}

func (l *logFile) close() { _ = l.file.Close() }

// bound empties the log if it has outgrown logLimit.
func (l *logFile) bound() error {
	info, err := l.file.Stat()
	if err != nil || info.Size() <= logLimit {
		return err
	}
	l.from = 0
	return l.file.Truncate(0)
}

// said returns the end of what this child wrote, for an error's text.
func (l *logFile) said() string {
	info, err := l.file.Stat()
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	from := max(l.from, info.Size()-logTail)
	text, err := io.ReadAll(io.NewSectionReader(l.file, from, logTail))
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return "(it said nothing)"
	}
	return strings.ToValidUTF8(string(text), "?")
}
