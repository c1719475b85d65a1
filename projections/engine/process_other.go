//go:build !linux

package engine

import "syscall"

func childAttributes() *syscall.SysProcAttr { return nil }
