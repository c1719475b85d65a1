package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// measureEvery is how often the growing download is measured.
	measureEvery = 250 * time.Millisecond
	// killGrace is how long npm may hold on to its output after it was killed.
	killGrace = 2 * time.Second
)

// download lets npm put the package's tarball into dir and returns its path. npm does it, and not an HTTP client of
// ours, because npm knows the user's registry, mirror, proxy and credentials.
func download(ctx context.Context, progress io.Writer, dir string, r release) (tarball string, err error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNoNPM, err)
	}
	// A cache of its own is where the download can be watched growing, and what can be deleted afterwards: in the user's
	// cache npm would keep 178 MB for good.
	cache := filepath.Join(dir, "npm")
	if err := os.Mkdir(cache, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, npm, "pack", r.pkg+"@"+r.version,
		"--cache", cache, "--pack-destination", dir, "--ignore-scripts",
		"--loglevel=error", "--logs-max=0", "--no-update-notifier", "--no-fund", "--no-audit",
		"--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000") // ms; npm's own: 10 s, 60 s
	cmd.Dir = dir // no package.json and no .npmrc of some project
	cmd.WaitDelay = killGrace
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said

	watch, stopWatch := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		showDownload(watch, progress, cache, r.size)
	}()
	err = cmd.Run()
	stopWatch()
	<-watched
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", npmError(err, said.String())
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("npm pack left %d tarballs, want 1; it said: %s", len(found), said.String())
	}
	return found[0], nil
}

// npmError turns npm's failure and words into an error a person can act on.
func npmError(err error, said string) error {
	said = strings.TrimSpace(said)
	for _, code := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH",
		"EHOSTUNREACH", "ERR_SOCKET_TIMEOUT"} {
		if strings.Contains(said, code) {
			return fmt.Errorf("%w; npm said: %s", ErrOffline, said)
		}
	}
	if strings.Contains(said, "EINTEGRITY") {
		return fmt.Errorf("%w; npm said: %s", ErrChecksum, said)
	}
	return fmt.Errorf("npm pack: %w; it said: %s", err, said)
}

// showDownload reports the size of npm's cache until ctx is done.
func showDownload(ctx context.Context, progress io.Writer, cache string, total int64) {
	display := newMeter(progress, total)
	defer display.end()
	ticker := time.NewTicker(measureEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			display.show(min(treeSize(cache), total))
		}
	}
}

// treeSize adds up the files under dir, bytes. Files come and go meanwhile; those that cannot be read count nothing.
func treeSize(dir string) int64 {
	var size int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}

// unpack writes the library out of the package's tarball to path, and syncs it: the marker that will vouch for it must
// not survive a power cut that the library does not.
func unpack(ctx context.Context, tarball, path string) error {
	file, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer file.Close()
	inflated, err := gzip.NewReader(reader{ctx, file})
	if err != nil {
		return err
	}
	archive := tar.NewReader(inflated)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("no %s in it", libraryName)
		} else if err != nil {
			return err
		}
		if header.Name == "package/"+libraryName && header.Typeflag == tar.TypeReg {
			break
		}
	}
	library, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(library, archive)
	return errors.Join(err, library.Sync(), library.Close())
}
