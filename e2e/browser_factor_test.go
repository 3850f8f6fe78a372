package e2e

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"
)

// An administrator without a second factor is led to add one while signing
// in; the picture, the key beside it and the link hold the same.
func TestBrowserEnrolsWhileSigningIn(t *testing.T) { eachBackend(t, enrolsWhileSigningIn) }

func enrolsWhileSigningIn(t *testing.T, newServer serverMaker) {
	s := newServer(t)
	wiki := newParty(t, s, "wiki", "Wiki", "127.0.0.1:0")
	s.setClients(t, wiki.registration(map[string]any{"trusted": true, "require_mfa": true}))
	s.start(t)
	s.addUser(t, "ada", "admins")
	ctx := newBrowser(t)
	visit(ctx, t, wiki.Self+"/start")
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Add a second factor")
	shows(ctx, t, "Wiki needs a second factor beside your password.")
	a := readAuthenticator(ctx, t)
	address := evaluateText(ctx, `document.querySelector("details.more a").href`)
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Example IX:ada" {
		t.Errorf("the key is for %q (%v)", address, err)
	}
	if q := u.Query(); q.Get("secret") != a.secret || q.Get("issuer") != "Example IX" || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Errorf("the key's address is %q, the secret shown %q", address, a.secret)
	}
	wantPicture(ctx, t, address)

	fill(ctx, t, "code", a.wrong(t))
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_code")
	if again := readAuthenticator(ctx, t); again.secret != a.secret {
		t.Error("a wrong code changed the key that was scanned")
	}
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")
	if claims := wiki.waitClaims(ctx, t); claims["acr"] != "2" || claims["preferred_username"] != "ada" {
		t.Errorf("the application knows %v", claims)
	}
}

// wantPicture reads the modules of the QR code out of the page and compares
// them with those of the text, quiet zone included.
func wantPicture(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	const quiet = 4 // modules, ISO/IEC 18004
	side := code.Size + 2*quiet
	if box := evaluateText(ctx, `document.querySelector(".qr svg").getAttribute("viewBox")`); box != fmt.Sprintf("0 0 %d %d", side, side) {
		t.Errorf("the picture's box is %q, want a side of %d", box, side)
	}
	black := map[[2]int]bool{}
	for _, run := range strings.Split(strings.Trim(evaluateText(ctx, `document.querySelector(".qr path").getAttribute("d")`), "Mz"), "zM") {
		var x, y, width, back int
		if _, err := fmt.Sscanf(run, "%d %dh%dv1h-%d", &x, &y, &width, &back); err != nil || width != back {
			t.Fatalf("the picture has the run %q (%v)", run, err)
		}
		for i := range width {
			black[[2]int{x + i, y}] = true
		}
	}
	for y := range side {
		for x := range side {
			if want := code.Black(x-quiet, y-quiet); black[[2]int{x, y}] != want {
				t.Fatalf("the module %d,%d is black: %t, want %t", x, y, !want, want)
			}
		}
	}
	// Cameras need it black on white, in every colour scheme, and large enough.
	style := evaluateText(ctx, `getComputedStyle(document.querySelector(".qr path")).fill + " on " + getComputedStyle(document.querySelector(".qr rect")).fill`)
	if style != "rgb(0, 0, 0) on rgb(255, 255, 255)" {
		t.Errorf("the picture is %s", style)
	}
	if width, err := strconv.ParseFloat(evaluateText(ctx, `String(document.querySelector(".qr svg").getBoundingClientRect().width)`), 64); err != nil || width/float64(side) < 3 {
		t.Errorf("the picture is %v pixels wide for %d modules (%v)", width, side, err)
	}
}

// A person adds and removes their second factor under Account, each time after
// they have shown that it is still them.
func TestBrowserAddsAndRemovesASecondFactor(t *testing.T) {
	eachBackend(t, addsAndRemovesASecondFactor)
}

func addsAndRemovesASecondFactor(t *testing.T, newServer serverMaker) {
	s := newServer(t, "PEERAGE_FRESH_FACTOR=3s") // long enough for one form on a busy machine
	s.start(t)
	s.addUser(t, "bob")
	ctx := newBrowser(t)
	visit(ctx, t, s.Issuer+"/")
	signIn(ctx, t, "bob")
	waitTitle(ctx, t, "Good to see you")
	shows(ctx, t, "Your account has one factor only.")

	waitStale(ctx, t, s)
	visit(ctx, t, s.Issuer+"/")
	click(ctx, t, "main .notice a")
	waitTitle(ctx, t, "Is it still you?")
	fill(ctx, t, "password", "wrong "+password)
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_credentials")
	var a *authenticator
	for !strings.HasPrefix(location(ctx), s.Issuer+"/identity/totp?done=") {
		if strings.Contains(location(ctx), "/login/confirm") { // again, when three seconds were not enough
			fill(ctx, t, "password", password)
			press(ctx, t, "", "")
		}
		waitTitle(ctx, t, "Add a second factor")
		a = readAuthenticator(ctx, t)
		fill(ctx, t, "code", a.code(t))
		press(ctx, t, "", "")
	}
	waitTitle(ctx, t, "Second factor")
	shows(ctx, t, "Your second factor is on.", "Authenticator app")
	if s.bao == nil { // which does not tell when
		shows(ctx, t, "just now")
	}

	// What is posted without a fresh factor is not even looked at.
	waitStale(ctx, t, s)
	visit(ctx, t, s.Issuer+"/identity/totp")
	if s.bao != nil {
		fill(ctx, t, "password", "wrong "+password)
	}
	fill(ctx, t, "code", a.wrong(t))
	press(ctx, t, "action", "disable")
	for !strings.HasPrefix(location(ctx), s.Issuer+"/identity?done=") {
		if strings.Contains(location(ctx), "/login/confirm") {
			waitTitle(ctx, t, "Is it still you?")
			s.confirms(ctx, t, a)
			press(ctx, t, "", "")
		}
		waitURL(ctx, t, s.Issuer+"/identity/totp")
		waitFault(ctx, t, "")
		s.confirms(ctx, t, a)
		press(ctx, t, "action", "disable")
	}
	shows(ctx, t, "Your second factor is removed.", "Add a second factor")
}

// confirms fills in what shows that it is still them: a code, at OpenBao with
// the password beside it.
func (s *server) confirms(ctx context.Context, t *testing.T, a *authenticator) {
	t.Helper()
	if s.bao != nil {
		fill(ctx, t, "password", password)
	}
	fill(ctx, t, "code", a.code(t))
}

// waitStale waits until the factor that was given last is fresh no more.
func waitStale(ctx context.Context, t *testing.T, s *server) {
	t.Helper()
	for deadline := time.Now().Add(pageDeadline); time.Now().Before(deadline); {
		visit(ctx, t, s.Issuer+"/login/confirm") // goes on to / while it is fresh
		if strings.HasSuffix(location(ctx), "/login/confirm") {
			return
		}
	}
	t.Fatal("the factor stays fresh")
}

// Who has lost their phone gets a one-time link, and with it and their
// password they add another second factor.
func TestBrowserRecoversALostSecondFactor(t *testing.T) { eachBackend(t, recoversALostSecondFactor) }

func recoversALostSecondFactor(t *testing.T, newServer serverMaker) {
	s := newServer(t)
	s.start(t)
	ctx := newBrowser(t)
	lost := enrolled(ctx, t, s, "ada", "admins")
	var link struct {
		Username string    `json:"username"`
		URL      string    `json:"url"`
		Expires  time.Time `json:"expires_at"`
	}
	s.runJSON(t, &link, "user", "reset-mfa", "ada", "--json")
	if left := time.Until(link.Expires); link.Username != "ada" || left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("the link is for %s until %s", link.Username, link.Expires)
	}

	visit(ctx, t, s.Issuer+"/") // the password alone leads nowhere
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "You need a one-time link")
	forget(ctx, t)

	for range 2 { // looking at it uses nothing up
		visit(ctx, t, link.URL)
		waitTitle(ctx, t, "Get back into your account")
	}
	shows(ctx, t, "This link is for ada.")
	fill(ctx, t, "password", "wrong "+password)
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_credentials")
	fill(ctx, t, "password", password)
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Add a second factor")
	a := readAuthenticator(ctx, t)
	if a.secret == lost.secret {
		t.Error("the lost key is given out again")
	}
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Good to see you, Ada Example")

	visit(ctx, t, link.URL)
	waitFault(ctx, t, "link_expired")
	shows(ctx, t, "This link no longer works", "noc@example.net")
}
