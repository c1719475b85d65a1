//go:build linux

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// disk is a file system in a file, mounted. What the kernel has not written to
// the file yet is what a power cut loses. It needs root.
type disk struct {
	mount  string
	images []string // the last is mounted
}

// imageSize is sparse: only what is written takes space. Bytes.
const imageSize = 2 << 30

func newDisk(ctx context.Context, dir string) (*disk, error) {
	d := &disk{mount: filepath.Join(dir, "disk"), images: []string{filepath.Join(dir, "disk-0.img")}}
	if err := os.MkdirAll(d.mount, 0o755); err != nil {
		return nil, err
	}
	image, err := os.Create(d.images[0])
	if err != nil {
		return nil, err
	}
	if err := image.Truncate(imageSize); err != nil {
		return nil, err
	}
	if err := image.Close(); err != nil {
		return nil, err
	}
	if err := command(ctx, "mkfs.ext4", "-q", "-F", d.images[0]); err != nil {
		return nil, err
	}
	return d, command(ctx, "mount", "-o", "loop", d.images[0], d.mount)
}

// cut puts in the place of the mounted file system what the disk has of it at
// this moment. Nobody may write meanwhile; free ends everybody who has files
// open there.
func (d *disk) cut(ctx context.Context, free func()) error {
	last := d.images[len(d.images)-1]
	next := filepath.Join(filepath.Dir(d.mount), fmt.Sprintf("disk-%d.img", len(d.images)))
	if err := command(ctx, "cp", "--sparse=always", last, next); err != nil {
		return err
	}
	free()
	if err := command(ctx, "umount", d.mount); err != nil {
		return err
	}
	d.images = append(d.images, next)
	return command(ctx, "mount", "-o", "loop", next, d.mount) // its journal is replayed here
}

func (d *disk) close() {
	_ = syscall.Unmount(d.mount, syscall.MNT_DETACH) // where nothing is mounted there is nothing to do
	for _, image := range d.images {
		_ = os.Remove(image)
	}
}

func command(ctx context.Context, name string, args ...string) error {
	if said, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return nil
}
