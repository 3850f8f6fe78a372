package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	lookalike "peerage/demo/peeringdb"
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

// The check asks PeeringDB for its keys and nothing else, and says what an
// operator must know of the other side.
func TestCheckOfPeeringDB(t *testing.T) {
	server, err := lookalike.New(lookalike.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	settings := func(pairs ...string) Settings {
		t.Helper()
		s, err := readSettings(newSettingFlags(), append([]string{"PEERAGE_ISSUER=https://id.example.net", "PEERAGE_PEERINGDB=signup", "PEERAGE_PEERINGDB_CLIENT_ID=peerage",
			"PEERAGE_PEERINGDB_CLIENT_SECRET=secret-of-peerage", "PEERAGE_PEERINGDB_URL=" + server.URL(), "PEERAGE_PARTICIPANTS=64500,64501"}, pairs...))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	found := fmt.Sprint(checkPeeringDB(t.Context(), settings()))
	if !strings.Contains(found, "peeringdb ok") || !strings.Contains(found, "https://id.example.net/login/peeringdb/callback") || !strings.Contains(found, "2 networks take part") || strings.Contains(found, "secret-of") {
		t.Errorf("the check says %s", found)
	}
	if n := server.Calls("/oauth2/token/"); n != 0 {
		t.Errorf("P1: the check tried the secret %d times", n)
	}
	server.Close()
	if found := fmt.Sprint(checkPeeringDB(t.Context(), settings())); !strings.Contains(found, "peeringdb failed") {
		t.Errorf("without PeeringDB the check says %s", found)
	}
	t.Run("P19 an http address is told before people end there", func(t *testing.T) {
		const redirect = "http://localhost:8080/login/peeringdb/callback"
		if warning, ok := checkRedirect(redirect, "https://auth.peeringdb.com/oauth2/authorize/"); ok || !strings.Contains(warning.Text, "Bad Request (400)") {
			t.Errorf("the check says %+v", warning)
		}
		if _, ok := checkRedirect(redirect, server.URL()+"/oauth2/authorize/"); !ok {
			t.Error("a look-alike on this machine is warned of")
		}
	})
}

// Who is to be deleted soon is not looked for long after.
func TestForgetEvery(t *testing.T) {
	for retention, want := range map[time.Duration]time.Duration{720 * time.Hour: 10 * time.Minute, time.Minute: 6 * time.Second, time.Second: time.Second} {
		if got := forgetEvery(retention); got != want {
			t.Errorf("people who are kept for %s are looked for every %s, want %s", retention, got, want)
		}
	}
}
