package main

import (
	"fmt"
	"runtime"
)

// version and commit are set by the build (-ldflags -X).
var (
	version = "dev"
	commit  = "unknown"
)

type versionCommand struct{}

// Run prints what this binary is.
func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintf(p.stdout, "peerage %s (commit %s, %s)\n", version, commit, runtime.Version())
	return err
}
