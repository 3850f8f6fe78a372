package identity_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"peerage/identity"
)

func TestPasswords(t *testing.T) {
	p := identity.NewTestPasswords(t, 8, 2)
	hash, err := p.Hash("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 1024)
	longHash, err := p.Hash(long)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, password, hash string
		ok                   bool
	}{
		{"right", "correct horse", hash, true},
		{"wrong", "correct horsE", hash, false},
		{"longer", "correct horse ", hash, false},
		{"empty", "", hash, false},
		{"nobody's", "correct horse", "", false},
		{"nobody's, empty", "", "", false},
		{"as long as may be", long, longHash, true},
		{"too long", long + "a", longHash, false},
		{"far too long", strings.Repeat("a", 1<<20), hash, false},
	} {
		ok, stale, err := p.Verify(t.Context(), c.password, c.hash)
		if err != nil || ok != c.ok || stale {
			t.Errorf("%s: %v, stale %v, %v; want %v", c.what, ok, stale, err, c.ok)
		}
	}
	if _, _, err := p.Verify(t.Context(), "x", "$2a$05$not-argon2id"); err == nil {
		t.Error("a hash of another kind is no error")
	}
}

func TestPasswordsTellsStaleParameters(t *testing.T) {
	old, current := identity.NewTestPasswords(t, 8, 1), identity.NewTestPasswords(t, 16, 1)
	hash, err := old.Hash("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if ok, stale, err := current.Verify(t.Context(), "correct horse", hash); !ok || !stale || err != nil {
		t.Errorf("old parameters: %v, stale %v, %v", ok, stale, err)
	}
}

func TestNewPasswordsTakesOWASPParameters(t *testing.T) {
	p := identity.NewPasswords(1)
	hash, err := p.Hash("correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s, %v", hash, err)
	}
}

func TestPasswordsRunsFewComparisonsAtOnce(t *testing.T) {
	const parallel = 3
	p := identity.NewTestPasswords(t, 8, parallel)
	var running, most atomic.Int64
	full, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.OnCompare(func() {
		n := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == parallel {
			once.Do(func() { close(full) })
		}
		<-release
	})
	var all sync.WaitGroup
	for range 8 * parallel {
		all.Go(func() {
			if _, _, err := p.Verify(t.Context(), "correct horse", ""); err != nil {
				t.Error(err)
			}
		})
	}
	<-full
	// All turns are taken: who may not wait does not compute.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := p.Verify(ctx, "correct horse", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a turn after the end: %v", err)
	}
	close(release)
	all.Wait()
	if most.Load() != parallel {
		t.Errorf("%d comparisons at once, want %d", most.Load(), parallel)
	}
}

func TestCheckEmail(t *testing.T) {
	for _, address := range []string{"", "ada@example.net", "ada+x@example.net", "ada@[192.0.2.1]"} {
		if err := identity.CheckEmail(address); err != nil {
			t.Errorf("CheckEmail(%q) = %v", address, err)
		}
	}
	for _, address := range []string{"ada", "@example.net", "Ada <ada@example.net>", "ada@example.net\nBcc: x@example.net", "a@b, c@d", " ada@example.net",
		strings.Repeat("a", 250) + "@example.net"} {
		if identity.CheckEmail(address) == nil {
			t.Errorf("CheckEmail(%q) accepts it", address)
		}
	}
}
