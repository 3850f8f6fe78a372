package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerage/identity/peeringdb"
)

func TestParticipantsOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "participants")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := &installation{settings: Settings{Participants: "@" + path}}
	loaded := func(want ...uint32) {
		t.Helper()
		list := peeringdb.Participants{}
		for _, asn := range want {
			list[asn] = true
		}
		if diff := cmp.Diff(list, in.peeringDB().Participants()); diff != "" {
			t.Errorf("participants (-want +got):\n%s", diff)
		}
	}
	write("# members\r\n64500\r\nAS64501 # Example Transit\n64502, 64503\n\n64500\n")
	if err := in.loadParticipants(); err != nil {
		t.Fatal(err)
	}
	loaded(64500, 64501, 64502, 64503)
	// A file with a fault changes nothing; an empty one says that nobody is known.
	write("64504\nnonsense\n")
	if err := in.loadParticipants(); err == nil {
		t.Error("nonsense was taken")
	}
	loaded(64500, 64501, 64502, 64503)
	write("")
	if err := in.loadParticipants(); err != nil {
		t.Fatal(err)
	}
	loaded()
}
