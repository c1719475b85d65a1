package engine

import "context"

// Release is a package other than the pinned one, small enough to be served by a test.
type Release struct {
	Pkg, Version     string
	Size             int64
	Tarball, Library string // sha512, base64
}

// FetchRelease is Fetch for such a package.
func FetchRelease(ctx context.Context, config FetchConfig, r Release) (string, error) {
	return fetch(ctx, config, release{pkg: r.Pkg, version: r.Version, size: r.Size, tarball: r.Tarball, unpacked: r.Library})
}

const (
	StopGrace     = stopGrace
	PreviousLimit = previousLimit
)
