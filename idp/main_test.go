package idp_test

import (
	"io"
	"log/slog"
	"os"
	"testing"
)

// The library logs through the process's default logger; what a site logs
// itself goes to its own.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	os.Exit(m.Run())
}
