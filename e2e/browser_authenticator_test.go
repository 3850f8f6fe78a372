package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// authenticator is a person's authenticator app. A code counts once and for
// the steps before, of and after now (RFC 6238 section 5.2), so it hands out the
// oldest that still counts: three sign-ins need no wait.
type authenticator struct {
	secret string
	last   int64 // time step of the last code
}

const totpStep = 30 // seconds

// nearEnd is how much of a step must be left for the code of the step before
// to arrive in time, on a busy machine.
const nearEnd = 8 // seconds

// code is a right code that was not used before.
func (a *authenticator) code(t *testing.T) string {
	t.Helper()
	for {
		now := time.Now().Unix()
		step := now/totpStep - 1
		if totpStep-now%totpStep < nearEnd {
			step++
		}
		step = max(step, a.last+1)
		if step <= now/totpStep+1 {
			a.last = step
			code, err := totp.GenerateCode(a.secret, time.Unix(step*totpStep, 0))
			if err != nil {
				t.Fatalf("making a code: %v", err)
			}
			return code
		}
		select {
		case <-t.Context().Done():
			t.Fatal("no code in time")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// wrong is six digits that are no code of now.
func (a *authenticator) wrong(t *testing.T) string {
	t.Helper()
	right := map[string]bool{}
	for step := time.Now().Unix()/totpStep - 3; len(right) < 7; step++ {
		code, err := totp.GenerateCode(a.secret, time.Unix(step*totpStep, 0))
		if err != nil {
			t.Fatalf("making a code: %v", err)
		}
		right[code] = true
	}
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777"} {
		if !right[code] {
			return code
		}
	}
	t.Fatal("every guess is right")
	return ""
}

// readAuthenticator reads the key from an enrolment page as a person types it
// over.
func readAuthenticator(ctx context.Context, t *testing.T) *authenticator {
	t.Helper()
	secret := strings.ReplaceAll(evaluateText(ctx, `document.querySelector("code.block").textContent`), " ", "")
	if len(secret) != 32 {
		t.Fatalf("the page shows the key %q", secret)
	}
	return &authenticator{secret: secret}
}

// enrolled is a person who has just added a second factor at the portal; the
// browser is signed out again.
func enrolled(ctx context.Context, t *testing.T, s *server, name string, groups ...string) *authenticator {
	t.Helper()
	s.addUser(t, name, groups...)
	visit(ctx, t, s.Issuer+"/login?return=/identity/totp")
	signIn(ctx, t, name)
	a := readAuthenticator(ctx, t)
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")
	waitFault(ctx, t, "")
	forget(ctx, t)
	return a
}
