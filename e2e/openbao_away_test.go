package e2e

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"peerage/identity/openbao/baotest"
)

// promptly runs what has to be answered within three seconds, whatever OpenBao
// does. A machine that is busy with other tests gets one more.
func promptly(t *testing.T, what string, f func()) {
	t.Helper()
	begun := time.Now()
	f()
	if taken := time.Since(begun); taken > 4*time.Second {
		t.Errorf("%s took %s", what, taken)
	}
}

// outcome is a page as status and fault.
func (p *person) outcome(t *testing.T, page *webPage, err error) (status int, fault string) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", p.username, err)
	}
	return page.status, page.fault
}

// knocks tries to sign in and says what came of it.
func (p *person) knocks(t *testing.T) (page *webPage) {
	t.Helper()
	page, err := p.get(t.Context(), p.issuer+"/login")
	if err == nil {
		page, err = p.submit(t.Context(), page, page.forms[0], "username", p.username, "password", password)
	}
	if err != nil {
		t.Fatalf("%s signs in: %v", p.username, err)
	}
	return page
}

// OpenBao is sealed, stopped, hangs or takes the service credential away. Who
// is signed in goes on, and so do their applications, though peerage is
// restarted; who comes is told soon that it is not their password; and afterwards
// all is well by itself.
func TestPeopleGoOnWhileOpenBaoIsAway(t *testing.T) {
	once(t)
	bao := baotest.Start(t)
	s, proxy := newOpenBaoServer(t, bao, []string{"--app-role"})
	s.addUser(t, "ada")
	s.addUser(t, "bob")
	s.start(t)
	rp := s.newRelyingParty(t, "grafana", s.addClient(t, "grafana", "--redirect-uri", clientCallback), "RS256")
	wiki := s.newRelyingParty(t, "wiki", s.addClient(t, "wiki", "--redirect-uri", clientCallback), "RS256")
	ada := s.newPerson(t, "ada")
	token, _, _, _ := rp.signIn(t, ada)

	for _, fault := range []struct {
		what       string
		goes, back func()
		ready      string
		signsIn    bool
	}{
		{"sealed", bao.Seal, bao.Unseal, "down", false},
		{"stopped", bao.Stop, bao.Restart, "down", false},
		{"hanging", proxy.Hang, proxy.Resume, "down", false},
		{"credential revoked", func() { bao.Do("PUT", "sys/leases/revoke-prefix/auth/approle/login", map[string]any{"sync": true}) }, func() {}, "ok", true},
	} {
		// What is known is of just now.
		if page, err := ada.get(t.Context(), s.Issuer+"/identity"); err != nil || page.status != http.StatusOK {
			t.Fatalf("before %s: %v", fault.what, err)
		}
		fault.goes()
		for _, path := range []string{"/", "/identity", "/identity/consents", "/identity/sessions", "/.well-known/jwks.json"} {
			promptly(t, fault.what+": "+path, func() {
				page, err := ada.get(t.Context(), s.Issuer+path)
				if status, wrong := ada.outcome(t, page, err); status != http.StatusOK || wrong != "" {
					t.Errorf("%s: %s answers %d %q", fault.what, path, status, wrong)
				}
			})
		}
		promptly(t, fault.what+": UserInfo", func() { rp.userInfo(t, token) })
		promptly(t, fault.what+": a refresh", func() {
			next, err := rp.refresh(t.Context(), token)
			if err != nil {
				t.Fatalf("%s: a refresh: %v", fault.what, err)
			}
			token = next
		})
		// She lets another application know her, and takes it back.
		promptly(t, fault.what+": a consent", func() { wiki.signIn(t, ada) })
		page, err := ada.get(t.Context(), s.Issuer+"/identity/consents")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(page.forms, func(f webForm) bool { return f.buttons["client_id=wiki"] })
		if i < 0 {
			t.Fatalf("%s: the consents do not name wiki", fault.what)
		}
		page, err = ada.submit(t.Context(), page, page.forms[i], "client_id", "wiki")
		if status, wrong := ada.outcome(t, page, err); status != http.StatusOK || wrong != "" {
			t.Errorf("%s: taking a consent back answers %d %q", fault.what, status, wrong)
		}

		bob := s.newPerson(t, "bob")
		promptly(t, fault.what+": a sign-in", func() {
			page := bob.knocks(t)
			if told := page.status == http.StatusServiceUnavailable && page.fault == "backend_unavailable" && strings.Contains(page.body, "your password is not the problem"); told == fault.signsIn {
				t.Errorf("%s: a sign-in answers %d %q", fault.what, page.status, page.fault)
			}
		})
		if got := s.ready(t); !strings.Contains(got, `"store":"ok","openbao":"`+fault.ready+`"`) {
			t.Errorf("%s: /readyz says %s", fault.what, got)
		}
		if !fault.signsIn {
			s.stop(t)
			s.start(t)
			promptly(t, fault.what+": UserInfo after a restart", func() { rp.userInfo(t, token) })
			if token, err = rp.refresh(t.Context(), token); err != nil {
				t.Fatalf("%s: a refresh after a restart: %v", fault.what, err)
			}
			page, err := ada.get(t.Context(), s.Issuer+"/identity")
			if status, wrong := ada.outcome(t, page, err); status != http.StatusOK || wrong != "" {
				t.Errorf("%s: after a restart /identity answers %d %q", fault.what, status, wrong)
			}
		}
		fault.back()
		eventually(t, "after "+fault.what+" bob signs in", func() bool {
			page := s.newPerson(t, "bob").knocks(t)
			return page.status == http.StatusOK && page.fault == ""
		})
		if got := s.ready(t); !strings.Contains(got, `"openbao":"ok"`) {
			t.Errorf("after %s /readyz says %s", fault.what, got)
		}
	}
}

// When OpenBao is away for longer than the operator allows, nothing is granted
// and nothing is taken away: the tokens are good again afterwards. A restart of
// peerage does not make it longer. A local administrator comes in.
func TestWhatIsTooOldServesNobody(t *testing.T) {
	once(t)
	s, proxy := newOpenBaoServer(t, baotest.Shared(t), nil, "PEERAGE_BAO_MAX_STALE=2s")
	s.addUser(t, "ada")
	s.start(t)
	s.run(t, password+"\n", "user", "create", "root", "--name", "Root", "--email", "root@example.net", "--local", "--group", "admins", "--password-stdin")
	rp := s.newRelyingParty(t, "grafana", s.addClient(t, "grafana", "--redirect-uri", clientCallback, "--trusted"), "RS256")
	ada := s.newPerson(t, "ada")
	token, _, _, _ := rp.signIn(t, ada)
	refused503 := func(what string) {
		t.Helper()
		eventually(t, what, func() bool {
			next, err := rp.refresh(t.Context(), token)
			if err == nil {
				token = next
				return false
			}
			refused(t, what, err, "temporarily_unavailable", http.StatusServiceUnavailable)
			return true
		})
		if _, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("%s: UserInfo: %v", what, err)
		}
		page, err := ada.get(t.Context(), s.Issuer+"/identity")
		if status, fault := ada.outcome(t, page, err); status != http.StatusServiceUnavailable || fault != "backend_unavailable" {
			t.Errorf("%s: /identity answers %d %q", what, status, fault)
		}
	}
	proxy.Hang()
	refused503("what is known is too old")
	proxy.Resume()
	s.recovers(t, rp, &token)

	proxy.Hang()
	s.stop(t)
	s.start(t)
	refused503("peerage was restarted")
	page, asked, err := s.newPerson(t, "root").authorize(t.Context(), rp.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	if err != nil || page.Get("code") == "" || !slices.Equal(asked, []string{"sign-in", "enrol"}) {
		t.Errorf("a local administrator is asked %v: %v", asked, err)
	}
	proxy.Resume()
	s.recovers(t, rp, &token)
	if page, err := ada.get(t.Context(), s.Issuer+"/identity"); err != nil || page.status != http.StatusOK {
		t.Errorf("her session has ended: %v", err)
	}
}

// recovers waits until a refresh token is good again.
func (s *server) recovers(t *testing.T, rp *relyingParty, token **oauth2.Token) {
	t.Helper()
	eventually(t, "the refresh token is good again", func() bool {
		next, err := rp.refresh(t.Context(), *token)
		var retrieve *oauth2.RetrieveError
		if errors.As(err, &retrieve) && retrieve.ErrorCode == "temporarily_unavailable" {
			return false
		}
		if err != nil {
			t.Fatalf("OpenBao is back, and a refresh gives %v", err)
		}
		*token = next
		return true
	})
}

// With a code outstanding, and with a session of somebody who has to show that
// it is still them, an answer takes no longer although two things are asked.
func TestHangingOpenBaoDelaysNobodyTwice(t *testing.T) {
	once(t)
	s, proxy := newOpenBaoServer(t, baotest.Shared(t), nil)
	s.addUser(t, "ada", "admins")
	s.addUser(t, "bob")
	s.start(t)
	rp := s.newRelyingParty(t, "grafana", s.addClient(t, "grafana", "--redirect-uri", clientCallback, "--trusted"), "RS256")
	ada, bob := s.newPerson(t, "ada"), s.newPerson(t, "bob")
	rp.signIn(t, ada)
	rp.signIn(t, bob)
	half := s.newPerson(t, "ada")
	half.secret, half.code = ada.secret, ada.code
	asks := half.knocks(t)
	code := slices.IndexFunc(asks.forms, func(f webForm) bool { return f.fields.Has("code") })
	if code < 0 {
		t.Fatalf("ada is asked for no code: %d %q at %s", asks.status, asks.fault, asks.url)
	}
	confirm, err := bob.get(t.Context(), s.Issuer+"/identity")
	if err != nil {
		t.Fatal(err)
	}
	digits, err := half.nextCode()
	if err != nil {
		t.Fatal(err)
	}
	// What is known must be older than what serves without a wait.
	<-time.After(3500 * time.Millisecond)
	proxy.Hang()
	promptly(t, "a code", func() {
		page, err := half.submit(t.Context(), asks, asks.forms[code], "code", digits)
		if status, fault := half.outcome(t, page, err); status != http.StatusServiceUnavailable || fault != "backend_unavailable" {
			t.Errorf("a code answers %d %q", status, fault)
		}
	})
	promptly(t, "a confirmation", func() {
		form := webForm{action: "/login/confirm", fields: map[string][]string{"return": {"/"}}}
		page, err := bob.submit(t.Context(), confirm, form, "password", password)
		if status, fault := bob.outcome(t, page, err); status != http.StatusServiceUnavailable || fault != "backend_unavailable" {
			t.Errorf("a confirmation answers %d %q", status, fault)
		}
	})
	promptly(t, "a sign-out", func() {
		page, err := bob.submit(t.Context(), confirm, webForm{action: "/logout", fields: map[string][]string{}}, "logout", "yes")
		if status, fault := bob.outcome(t, page, err); status != http.StatusOK || fault != "" {
			t.Errorf("a sign-out answers %d %q", status, fault)
		}
	})
	proxy.Resume()
	// The half-done sign-in goes on where it was.
	eventually(t, "the code is taken", func() bool {
		page, err := half.submit(t.Context(), asks, asks.forms[code], "code", digits)
		status, fault := half.outcome(t, page, err)
		if status != http.StatusOK && fault != "backend_unavailable" {
			t.Fatalf("the code answers %d %q", status, fault)
		}
		return status == http.StatusOK
	})
}
