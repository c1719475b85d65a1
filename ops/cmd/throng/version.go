package main

import (
	"fmt"
	"runtime"
)

// version of the program, semantic. The linker may set it.
var version = "0.1.0"

type versionCommand struct{}

func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintf(p.stdout, "throng %s (%s %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
