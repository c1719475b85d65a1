package engine

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// release is a published npm package with the engine's library in it.
type release struct {
	pkg      string // npm package
	version  string
	size     int64  // of the tarball, bytes; for the progress display only
	tarball  string // sha512 of the tarball, base64, as npm writes it
	unpacked string // sha512 of libchdb.so, base64
}

// pinned is the release this program is built for. The exact version matters: 26.5.3, which npm's tag "latest" names,
// cannot listen. To move on, change all five fields and run this package's tests.
var pinned = release{
	pkg:      "@chdb/lib-linux-x64-gnu",
	version:  "26.7.3-stable.1",
	size:     177_817_999,
	tarball:  "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
	unpacked: "Cl5q9c9XA0EW00o5SAmJoWDdEF83LYWqdI+NKwpevVKpDZE3N9euhvb1l9N/4G06TSISXBPFqpYdkaqT0DR1Hg==",
}

const (
	// libraryName is the file we keep of the package.
	libraryName = "libchdb.so"
	// markerName is the file beside it that says it was verified.
	markerName = "verified"
)

// FetchConfig says where the library is kept.
type FetchConfig struct {
	// CacheDir holds the library, about 570 MB, for all programs and tests of this user; fetching takes another 930 MB
	// for a moment. Empty means the directory throng in os.UserCacheDir().
	CacheDir string

	// Progress receives a progress bar if it is a terminal, or now and then a line if it is not, and nothing at all when
	// the library is cached. Nil means silence.
	Progress io.Writer
}

// Fetch returns the path of the engine's library, downloading it into the cache when it is not there yet. Any number of
// processes may call it at once: one downloads, the others wait for it. A damaged cache is replaced.
//
// The errors to tell apart are [ErrUnsupported], [ErrNoNPM], [ErrOffline] and [ErrChecksum].
func Fetch(ctx context.Context, config FetchConfig) (libPath string, err error) {
	if err := supported(); err != nil {
		return "", err
	}
	return fetch(ctx, config, pinned)
}

func fetch(ctx context.Context, config FetchConfig, r release) (libPath string, err error) {
	if config.Progress == nil {
		config.Progress = io.Discard
	}
	if config.CacheDir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache directory for the ClickHouse engine: %w", err)
		}
		config.CacheDir = filepath.Join(user, "throng")
	}
	cache, err := filepath.Abs(config.CacheDir)
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, "chdb-"+r.version)
	libPath = filepath.Join(home, libraryName)
	if verified(home, r) {
		return libPath, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("create the cache directory for the ClickHouse engine: %w", err)
	}
	locked, err := lock(ctx, home+".lock", func() {
		fmt.Fprintln(config.Progress, "ClickHouse engine: another process is fetching it, waiting")
	})
	if err != nil {
		return "", fmt.Errorf("fetch the ClickHouse engine: %w", err)
	}
	defer locked.Close()
	if verified(home, r) || verifyAgain(ctx, home, r) {
		return libPath, nil
	}
	if err := replace(ctx, config.Progress, home, r); err != nil {
		return "", fmt.Errorf("fetch the ClickHouse engine: %w", err)
	}
	return libPath, nil
}

// replace puts a fresh library into home, whatever is there. The caller holds the lock.
func replace(ctx context.Context, progress io.Writer, home string, r release) error {
	// What a killed process left. We hold the lock, so nobody is using it.
	left, err := filepath.Glob(home + ".fetch-*")
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	scratch, err := os.MkdirTemp(filepath.Dir(home), filepath.Base(home)+".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch) // npm's cache and the tarball; after an error also the library

	fmt.Fprintf(progress, "ClickHouse engine: downloading %d MB, once, into %s\n", megabytes(r.size), filepath.Dir(home))
	tarball, err := download(ctx, progress, scratch, r)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := checkSum(ctx, tarball, r.tarball); err != nil {
		return err
	}
	fresh := filepath.Join(scratch, "fresh")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	library := filepath.Join(fresh, libraryName)
	if err := unpack(ctx, tarball, library); err != nil {
		return fmt.Errorf("unpack %s: %w", r.pkg, err)
	}
	if err := checkSum(ctx, library, r.unpacked); err != nil {
		return err
	}
	if err := mark(fresh, r); err != nil {
		return err
	}
	// Engines that run on the old file keep it: its pages stay until the last of them has ended.
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	if err := os.Rename(fresh, home); err != nil {
		return err
	}
	fmt.Fprintf(progress, "ClickHouse engine: verified and unpacked in %v\n", time.Since(begun).Round(100*time.Millisecond))
	return nil
}

// marker is the content of the marker file for the library as it is on disk now: what it was verified against, and the
// size and modification time by which a later change would show. Hashing half a gigabyte at every start would take
// longer than starting the engine.
func marker(home string, r release) (string, error) {
	info, err := os.Stat(filepath.Join(home, libraryName))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("sha512-%s %d bytes, modified %d\n", r.unpacked, info.Size(), info.ModTime().UnixNano()), nil
}

// mark writes the marker; the caller has just verified the library.
func mark(home string, r release) error {
	text, err := marker(home, r)
	if err != nil {
		return err
	}
	path := filepath.Join(home, markerName)
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// verified reports whether the library in home was verified and has not changed since.
func verified(home string, r release) bool {
	want, err := marker(home, r)
	if err != nil {
		return false
	}
	got, err := os.ReadFile(filepath.Join(home, markerName))
	return err == nil && string(got) == want
}

// verifyAgain hashes a library whose marker does not fit, because a cache restored by a build server has other times
// and is sound all the same. The caller holds the lock.
func verifyAgain(ctx context.Context, home string, r release) bool {
	if checkSum(ctx, filepath.Join(home, libraryName), r.unpacked) != nil {
		return false
	}
	return mark(home, r) == nil
}

// checkSum returns ErrChecksum unless the file's sha512 is want, in base64.
func checkSum(ctx context.Context, path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha512.New()
	if _, err := io.Copy(sum, reader{ctx, file}); err != nil {
		return fmt.Errorf("verify %s: %w", filepath.Base(path), err)
	}
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%w: %s is sha512-%s, want sha512-%s", ErrChecksum, filepath.Base(path), got, want)
	}
	return nil
}

// reader ends a long copy when its context does. It keeps the context because io.Reader has no room for one, and lives
// for that copy only.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
