//go:build !linux

package main

import "os"

// hideTyping is known for Linux alone, which servers run.
func hideTyping(*os.File) (show func(), err error) { return func() {}, nil }
