// Generate makes the filter of common breached passwords from files with one
// password a line.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"peerage/identity/breached"
)

func main() {
	out := flag.String("o", "passwords.bin", "the file to write")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(out string, lists []string) error {
	var passwords []string
	for _, name := range lists {
		list, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading a list: %w", err)
		}
		for line := range strings.Lines(string(list)) {
			passwords = append(passwords, strings.TrimSpace(line))
		}
	}
	filter := breached.Build(passwords)
	if len(filter) == 0 {
		return fmt.Errorf("the lists have no password of %d characters", breached.MinLength)
	}
	if err := breached.Verify(filter, passwords); err != nil {
		return err
	}
	return os.WriteFile(out, filter, 0o644) // #nosec G306 -- a source file
}
