//go:build unix

package engine_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throng/throng/projections/engine"
)

// These tests use the real npm with a registry of their own, which serves a small package. The pinned package itself is
// fetched by TestMain wherever it is not cached.

const content = "not really a library"

// registry is an npm registry with one package.
type registry struct {
	release   engine.Release
	downloads atomic.Int64
}

// serveRegistry starts a registry and makes npm use it for the rest of the test. wrap may spoil what it serves.
func serveRegistry(t *testing.T, wrap func(tarball []byte) []byte) *registry {
	t.Helper()
	tarball := pack(t, "package/index.js", "", "package/libchdb.so", content)
	r := &registry{release: engine.Release{
		Pkg: "@test/lib", Version: "1.2.3-stable.4",
		Size: int64(len(tarball)), Tarball: sum(tarball), Library: sum([]byte(content)),
	}}
	if wrap != nil {
		tarball = wrap(tarball)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /lib.tgz", func(w http.ResponseWriter, _ *http.Request) {
		r.downloads.Add(1)
		_, _ = w.Write(tarball)
	})
	name, version := r.release.Pkg, r.release.Version
	listing, err := json.Marshal(map[string]any{
		"name":      name,
		"dist-tags": map[string]string{"latest": version},
		"versions": map[string]any{version: map[string]any{
			"name": name, "version": version,
			"dist": map[string]string{"tarball": server.URL + "/lib.tgz", "integrity": "sha512-" + sum(tarball)},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("GET /{name}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(listing) })
	t.Setenv("npm_config_registry", server.URL+"/")
	return r
}

func TestFetchDownloadsOnceVerifiesAndLeavesNothingElse(t *testing.T) {
	r, cache := serveRegistry(t, nil), t.TempDir()
	var progress bytes.Buffer
	path := fetch(t, engine.FetchConfig{CacheDir: cache, Progress: &progress}, r)
	if !strings.Contains(progress.String(), "downloading") {
		t.Errorf("progress of a download: got %q", progress.String())
	}
	progress.Reset()
	if again := fetch(t, engine.FetchConfig{CacheDir: cache, Progress: &progress}, r); again != path {
		t.Errorf("second fetch: got %s, want %s", again, path)
	}
	if progress.Len() != 0 {
		t.Errorf("progress of a cached library: got %q, want nothing", progress.String())
	}
	if got := r.downloads.Load(); got != 1 {
		t.Errorf("downloads: got %d, want 1", got)
	}
	wantFiles(t, cache, "chdb-1.2.3-stable.4", "chdb-1.2.3-stable.4.lock")
	wantFiles(t, filepath.Dir(path), "libchdb.so", "verified")
}

func TestFetchHealsADamagedCache(t *testing.T) {
	tests := []struct {
		name      string
		damage    func(t *testing.T, path string) error
		downloads int64 // in all, after the first
	}{
		{"the library is half written", func(_ *testing.T, path string) error { return os.Truncate(path, 3) }, 1},
		{"the library is gone", func(_ *testing.T, path string) error { return os.Remove(path) }, 1},
		{"the library changed and kept its size", func(_ *testing.T, path string) error {
			return os.WriteFile(path, []byte(strings.ToUpper(content)), 0o600)
		}, 1},
		{"the marker is gone", func(_ *testing.T, path string) error {
			return os.Remove(filepath.Join(filepath.Dir(path), "verified"))
		}, 0},
		{"only the times changed", func(_ *testing.T, path string) error {
			return os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0))
		}, 0},
		{"a killed fetch left its scratch directory", func(t *testing.T, path string) error {
			home := filepath.Dir(path)
			return errors.Join(os.Remove(path), os.MkdirAll(home+".fetch-1/npm", 0o700))
		}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, cache := serveRegistry(t, nil), t.TempDir()
			path := fetch(t, engine.FetchConfig{CacheDir: cache}, r)
			if err := test.damage(t, path); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second finds it healed
				fetch(t, engine.FetchConfig{CacheDir: cache}, r)
			}
			if got := r.downloads.Load() - 1; got != test.downloads {
				t.Errorf("downloads to heal: got %d, want %d", got, test.downloads)
			}
			wantFiles(t, cache, "chdb-1.2.3-stable.4", "chdb-1.2.3-stable.4.lock")
		})
	}
}

func TestFetchesAtTheSameTimeDownloadOnce(t *testing.T) {
	r, cache := serveRegistry(t, nil), t.TempDir()
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			path, err := engine.FetchRelease(t.Context(), engine.FetchConfig{CacheDir: cache}, r.release)
			if err != nil {
				t.Error(err)
			} else if got, err := os.ReadFile(path); err != nil || string(got) != content {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	group.Wait()
	if got := r.downloads.Load(); got != 1 {
		t.Errorf("downloads: got %d, want 1", got)
	}
}

func TestFetchRefusesAWrongChecksum(t *testing.T) {
	t.Run("of the tarball", func(t *testing.T) {
		r := serveRegistry(t, func([]byte) []byte { return pack(t, "package/libchdb.so", "something else") })
		_ = wantRefused(t, r, engine.ErrChecksum)
	})
	t.Run("of the library in it", func(t *testing.T) {
		r := serveRegistry(t, nil)
		r.release.Library = sum([]byte("another library"))
		_ = wantRefused(t, r, engine.ErrChecksum)
	})
}

func TestFetchSaysWhatIsMissing(t *testing.T) {
	t.Run("npm", func(t *testing.T) {
		r := serveRegistry(t, nil)
		t.Setenv("PATH", "")
		err := wantRefused(t, r, engine.ErrNoNPM)
		for _, want := range []string{"npm", "Node.js", "DSN"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want a word about %s", err, want)
			}
		}
	})
	t.Run("the network", func(t *testing.T) {
		r := serveRegistry(t, nil)
		t.Setenv("npm_config_registry", "http://127.0.0.1:1/") // nobody listens there
		_ = wantRefused(t, r, engine.ErrOffline)
	})
	t.Run("the package", func(t *testing.T) {
		r := serveRegistry(t, nil)
		r.release.Version = "9.9.9"
		_, err := engine.FetchRelease(t.Context(), engine.FetchConfig{CacheDir: t.TempDir()}, r.release)
		if err == nil || !strings.Contains(err.Error(), "9.9.9") {
			t.Errorf("got %v, want npm's words about version 9.9.9", err)
		}
	})
}

func TestACancelledFetchLeavesNothing(t *testing.T) {
	r, cache := serveRegistry(t, nil), t.TempDir()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := engine.FetchRelease(ctx, engine.FetchConfig{CacheDir: cache}, r.release); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	wantFiles(t, cache, "chdb-1.2.3-stable.4.lock")
}

func fetch(t testing.TB, config engine.FetchConfig, r *registry) (path string) {
	t.Helper()
	path, err := engine.FetchRelease(t.Context(), config, r.release)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != content {
		t.Fatalf("fetched %q, %v, want %q", got, err, content)
	}
	return path
}

// wantRefused fetches and expects an error of the given kind and nothing in the cache.
func wantRefused(t testing.TB, r *registry, want error) error {
	t.Helper()
	cache := t.TempDir()
	_, err := engine.FetchRelease(t.Context(), engine.FetchConfig{CacheDir: cache}, r.release)
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	wantFiles(t, cache, "chdb-"+r.release.Version+".lock")
	return err
}

func wantFiles(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("files in %s: got %v, want %v", dir, got, want)
	}
}

// pack makes a tarball of names and contents in turn.
func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var tarball bytes.Buffer
	deflated := gzip.NewWriter(&tarball)
	archive := tar.NewWriter(deflated)
	for i := 0; i < len(files); i += 2 {
		header := &tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), deflated.Close()); err != nil {
		t.Fatal(err)
	}
	return tarball.Bytes()
}

func sum(data []byte) string {
	digest := sha512.Sum512(data)
	return base64.StdEncoding.EncodeToString(digest[:])
}
