package main

import (
	"os"
	"path/filepath"
	"testing"

	"peerage/identity/breached"
)

func TestGenerate(t *testing.T) {
	dir := t.TempDir()
	list, out := filepath.Join(dir, "list"), filepath.Join(dir, "out")
	if err := os.WriteFile(list, []byte("short\nthree boats pass\r\n\nby the lighthouse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(out, []string{list}); err != nil {
		t.Fatal(err)
	}
	filter, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := breached.Verify(filter, []string{"three boats pass", "by the lighthouse"}); err != nil {
		t.Error(err)
	}
	if len(filter) != 2*5 {
		t.Errorf("%d bytes for two passwords", len(filter))
	}
	if err := run(out, nil); err == nil {
		t.Error("a filter of no list")
	}
	if err := run(out, []string{filepath.Join(dir, "missing")}); err == nil {
		t.Error("a filter of a missing list")
	}
}
