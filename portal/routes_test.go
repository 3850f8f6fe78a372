package portal_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/passkeytest"
	"peerage/portal/portaltest"
)

// Who comes, in the order of the columns below. A row of one answer is for
// everybody; one of five treats administrators with two factors as anybody with
// two whose factor is not fresh.
var visitors = []string{"nobody", "person", "stale", "disabled", "admin", "admin-stale", "admin-fresh"}

const (
	toLogin = "303 /login?return=%2F"
	toEnrol = "303 /login/enrol?return=%2F"
)

// everybody answers all visitors alike.
func everybody(answer string) []string { return []string{answer} }

// administration is the row of a page under /admin: its address, and what an
// administrator with two factors gets, first when the last one is not fresh.
func administration(address, stale, fresh string) []string {
	to := url.QueryEscape(address)
	return []string{"303 /login?return=" + to, "403 not_allowed", "403 not_allowed", "303 /login?return=" + to, "303 /login/enrol?return=" + to, stale, fresh}
}

// reading is the row of a page under /admin that shows something, changing of
// one that changes something.
func reading(address, answer string) []string { return administration(address, answer, answer) }

func changing(address, fresh string) []string {
	return administration(address, "303 /login/confirm?return="+url.QueryEscape(address), fresh)
}

// routeTable says what each visitor gets at each route: nobody, a person of
// one factor, one of two whose factor is not fresh, one who was disabled
// meanwhile, an administrator who has to enrol a second factor, one whose second
// factor is not fresh, and one who gave it just now.
var routeTable = []struct {
	pattern, address string
	want             []string
}{
	{"GET /login", "/login", []string{"200", "303 /", "303 /", "200", "200"}},
	{"POST /login", "/login", everybody("422 wrong_credentials")},
	{"GET /login/totp", "/login/totp", []string{toLogin, toLogin, "200", toLogin, toLogin}},
	{"POST /login/totp", "/login/totp", []string{toLogin, toLogin, "422 wrong_code", toLogin, toLogin}},
	{"GET /login/recovery", "/login/recovery", []string{toLogin, toLogin, "200", toLogin, toLogin}},
	{"POST /login/recovery", "/login/recovery", []string{toLogin, toLogin, "422 wrong_code", toLogin, toLogin}},
	{"GET /login/passkey", "/login/passkey", everybody("200")},
	{"POST /login/passkey", "/login/passkey", everybody("422 wrong_credentials")},
	{"GET /login/enrol", "/login/enrol", []string{toLogin, toLogin, toLogin, toLogin, "200"}},
	{"POST /login/enrol", "/login/enrol", []string{toLogin, toLogin, toLogin, toLogin, "422 wrong_code"}},
	{"GET /login/confirm", "/login/confirm", []string{toLogin + "login%2Fconfirm", "303 /", "200", toLogin + "login%2Fconfirm", toEnrol + "login%2Fconfirm", "200", "303 /"}},
	{"POST /login/confirm", "/login/confirm", []string{toLogin + "login%2Fconfirm", "422 wrong_credentials", "422 wrong_code", toLogin + "login%2Fconfirm", toEnrol + "login%2Fconfirm"}},
	{"GET /login/peeringdb", "/login/peeringdb", everybody("404 not_found")}, // what it is where there is none
	{"POST /login/peeringdb", "/login/peeringdb", everybody("404 not_found")},
	{"GET /login/peeringdb/callback", "/login/peeringdb/callback?code=x&state=y", everybody("404 not_found")},
	{"GET /identity/peeringdb", "/identity/peeringdb", []string{toLogin + "identity%2Fpeeringdb", "200", "200", toLogin + "identity%2Fpeeringdb", toEnrol + "identity%2Fpeeringdb"}},
	{"POST /identity/peeringdb", "/identity/peeringdb", []string{toLogin + "identity%2Fpeeringdb", "422 invalid_request", "422 invalid_request", toLogin + "identity%2Fpeeringdb", toEnrol + "identity%2Fpeeringdb"}},
	{"GET /admin/peeringdb", "/admin/peeringdb", reading("/admin/peeringdb", "200")},
	{"POST /admin/peeringdb", "/admin/peeringdb", changing("/admin/peeringdb", "422 invalid_request")},
	{"GET /consent", "/consent", everybody("303 /")},
	{"POST /consent", "/consent", everybody("303 /")},
	{"GET /device", "/device", []string{toLogin + "device", "200", "200", toLogin + "device", toEnrol + "device"}},
	{"GET /device", "/device?user_code=BCDF-GHJK", []string{toLogin + "device%3Fuser_code%3DBCDF-GHJK", "200", "200", toLogin + "device%3Fuser_code%3DBCDF-GHJK", toEnrol + "device%3Fuser_code%3DBCDF-GHJK"}},
	{"POST /device", "/device", []string{toLogin + "device", "422 wrong_code", "422 wrong_code", toLogin + "device", toEnrol + "device"}},
	{"GET /logout", "/logout", everybody("200")},
	{"POST /logout", "/logout", everybody("303 /logout?")},
	{"GET /recover/{token}", "/recover/nothing", everybody("410 link_expired")},
	{"POST /recover/{token}", "/recover/nothing", everybody("410 link_expired")},
	{"GET /recover", "/recover", everybody("200")},
	{"POST /recover", "/recover", everybody("422 wrong_email")},
	{"GET /invite/{token}", "/invite/nothing", everybody("410 link_expired")},
	{"POST /invite/{token}", "/invite/nothing", everybody("410 link_expired")},
	{"GET /verify-email/{token}", "/verify-email/nothing", everybody("410 link_expired")},
	{"POST /verify-email/{token}", "/verify-email/nothing", everybody("410 link_expired")},
	{"GET /{$}", "/", []string{toLogin, "200", "200", toLogin, toEnrol}},
	{"GET /identity", "/identity", []string{toLogin + "identity", "200", "200", toLogin + "identity", toEnrol + "identity"}},
	{"POST /identity", "/identity", []string{toLogin + "identity", "303 /identity", "303 /identity", toLogin + "identity", toEnrol + "identity"}},
	{"GET /identity/password", "/identity/password", []string{toLogin + "identity%2Fpassword", "200", "200", toLogin + "identity%2Fpassword", toEnrol + "identity%2Fpassword"}},
	{"POST /identity/password", "/identity/password", []string{toLogin + "identity%2Fpassword", "422 password_too_short", "422 password_too_short", toLogin + "identity%2Fpassword", toEnrol + "identity%2Fpassword"}},
	{"GET /identity/consents", "/identity/consents", []string{toLogin + "identity%2Fconsents", "200", "200", toLogin + "identity%2Fconsents", toEnrol + "identity%2Fconsents"}},
	{"POST /identity/consents", "/identity/consents", []string{toLogin + "identity%2Fconsents", "422 not_found", "422 not_found", toLogin + "identity%2Fconsents", toEnrol + "identity%2Fconsents"}},
	{"GET /identity/sessions", "/identity/sessions", []string{toLogin + "identity%2Fsessions", "200", "200", toLogin + "identity%2Fsessions", toEnrol + "identity%2Fsessions"}},
	{"POST /identity/sessions", "/identity/sessions", []string{toLogin + "identity%2Fsessions", "422 not_found", "422 not_found", toLogin + "identity%2Fsessions", toEnrol + "identity%2Fsessions"}},
	{"GET /identity/activity", "/identity/activity", []string{toLogin + "identity%2Factivity", "200", "200", toLogin + "identity%2Factivity", toEnrol + "identity%2Factivity"}},
	{"GET /identity/activity", "/identity/activity?before=nonsense.x", []string{toLogin + "identity%2Factivity%3Fbefore%3Dnonsense.x", "200", "200", toLogin + "identity%2Factivity%3Fbefore%3Dnonsense.x", toEnrol + "identity%2Factivity%3Fbefore%3Dnonsense.x"}},
	{"GET /.well-known/change-password", "/.well-known/change-password", everybody("303 /identity/password")},
	{"GET /identity/totp", "/identity/totp", []string{toLogin + "identity%2Ftotp", "200", "200", toLogin + "identity%2Ftotp", toEnrol + "identity%2Ftotp"}},
	{"POST /identity/totp", "/identity/totp", []string{toLogin + "identity%2Ftotp", "422 wrong_code", "303 /login/confirm?return=%2Fidentity%2Ftotp", toLogin + "identity%2Ftotp", toEnrol + "identity%2Ftotp", "303 /login/confirm?return=%2Fidentity%2Ftotp", "303 /identity/totp"}},
	{"GET /admin", "/admin", reading("/admin", "200")},
	{"GET /admin/users", "/admin/users", reading("/admin/users", "200")},
	{"GET /admin/users", "/admin/users?q=ada&state=disabled&page=3", reading("/admin/users?q=ada&state=disabled&page=3", "200")},
	{"POST /admin/users", "/admin/users", changing("/admin/users", "422 invalid_request")},
	{"GET /admin/users/new", "/admin/users/new", reading("/admin/users/new", "200")},
	{"GET /admin/users/import", "/admin/users/import", reading("/admin/users/import", "200")},
	{"POST /admin/users/import", "/admin/users/import", changing("/admin/users/import", "422 invalid_request")},
	{"GET /admin/users/{sub}", "/admin/users/nobody", reading("/admin/users/nobody", "404 not_found")},
	{"POST /admin/users/{sub}", "/admin/users/nobody", changing("/admin/users/nobody", "404 not_found")},
	{"GET /admin/groups", "/admin/groups", reading("/admin/groups", "200")},
	{"GET /admin/groups", "/admin/groups?group=admins", reading("/admin/groups?group=admins", "200")},
	{"GET /admin/groups", "/admin/groups?group=nothing&ask=delete", reading("/admin/groups?group=nothing&ask=delete", "404 not_found")},
	{"POST /admin/groups", "/admin/groups", changing("/admin/groups", "422 invalid_request")},
	{"GET /admin/clients", "/admin/clients", reading("/admin/clients", "200")},
	{"GET /admin/clients", "/admin/clients?new=yes", reading("/admin/clients?new=yes", "200")},
	{"GET /admin/clients", "/admin/clients?recipe=", reading("/admin/clients?recipe=", "200")},
	{"GET /admin/clients", "/admin/clients?recipe=grafana", reading("/admin/clients?recipe=grafana", "200")},
	{"GET /admin/clients", "/admin/clients?recipe=nothing", reading("/admin/clients?recipe=nothing", "404 not_found")},
	{"POST /admin/clients", "/admin/clients", changing("/admin/clients", "422 invalid_request")},
	{"GET /admin/clients/{id}", "/admin/clients/nothing", reading("/admin/clients/nothing", "404 not_found")},
	{"POST /admin/clients/{id}", "/admin/clients/nothing", changing("/admin/clients/nothing", "404 not_found")},
	{"GET /admin/keys", "/admin/keys", reading("/admin/keys", "200")},
	{"GET /admin/keys", "/admin/keys?ask=rotate&alg=RS256", reading("/admin/keys?ask=rotate&alg=RS256", "200")},
	{"POST /admin/keys", "/admin/keys", changing("/admin/keys", "422 invalid_request")},
	{"GET /admin/events", "/admin/events", reading("/admin/events", "200")},
	{"GET /admin/events", "/admin/events?format=csv", reading("/admin/events?format=csv", "200")},
	{"GET /admin/events", "/admin/events?ip=x", reading("/admin/events?ip=x", "422 invalid_request")},
	{"GET /identity/recovery-codes", "/identity/recovery-codes", []string{toLogin + "identity%2Frecovery-codes", "200", "200", toLogin + "identity%2Frecovery-codes", toEnrol + "identity%2Frecovery-codes"}},
	{"POST /identity/recovery-codes", "/identity/recovery-codes", []string{toLogin + "identity%2Frecovery-codes", "422", "303 /login/confirm?return=%2Fidentity%2Frecovery-codes", toLogin + "identity%2Frecovery-codes", toEnrol + "identity%2Frecovery-codes", "303 /login/confirm?return=%2Fidentity%2Frecovery-codes", "200"}},
	{"POST /identity/recovery-codes/file", "/identity/recovery-codes/file", []string{toLogin, "303 /identity/recovery-codes", "303 /identity/recovery-codes", toLogin, toEnrol}},
	{"GET /identity/passkeys", "/identity/passkeys", []string{toLogin + "identity%2Fpasskeys", "200", "200", toLogin + "identity%2Fpasskeys", toEnrol + "identity%2Fpasskeys"}},
	{"POST /identity/passkeys", "/identity/passkeys", []string{toLogin + "identity%2Fpasskeys", "422 wrong_code", "303 /login/confirm?return=%2Fidentity%2Fpasskeys", toLogin + "identity%2Fpasskeys", toEnrol + "identity%2Fpasskeys", "303 /login/confirm?return=%2Fidentity%2Fpasskeys", "422 wrong_code"}},
	// Where there is no OpenBao nobody finds what it would give; the others are
	// in openbao_test.go.
	{"GET /identity/tokens", "/identity/tokens", everybody("404 not_found")},
	{"POST /identity/tokens", "/identity/tokens", everybody("404 not_found")},
	{"GET /kubeconfig", "/kubeconfig?download=1", everybody("404 not_found")},
	{"GET /certs", "/certs", everybody("404 not_found")},
	{"POST /certs", "/certs", everybody("404 not_found")},
	{"POST /certs/file", "/certs/file", everybody("404 not_found")},
	{"GET /certs/crl", "/certs/crl", everybody("404 not_found")},
	{"GET /metrics", "/metrics", everybody("404 not_found")},
	{"/", "/nowhere", everybody("404 not_found")},
	{"/", "/invite", everybody("404 not_found")},
	{"GET /static/", "/static/nothing.css", everybody("404")},
	{"/oauth2/", "/oauth2/authorize", everybody("400 invalid_request")},
	{"/oauth2/", "/oauth2/nothing", everybody("404")},
	{"/.well-known/", "/.well-known/openid-configuration", everybody("200")},
	{"GET /login", "/login?return=/identity", []string{"200", "303 /identity", "303 /identity", "200", "200"}},
	{"GET /login", "/login?request=unknown", everybody("400 invalid_request")},
	{"POST /login", "/login?request=unknown", everybody("400 invalid_request")},
	{"GET /consent", "/consent?request=unknown", everybody("400 invalid_request")},
	{"POST /consent", "/consent?request=unknown", everybody("400 invalid_request")},
	{"GET /login/totp", "/login/totp?request=unknown", everybody("400 invalid_request")},
	{"GET /login/enrol", "/login/enrol?request=unknown", everybody("400 invalid_request")},
	{"GET /login", "/login?x=%zz", everybody("400 invalid_request")},
}

func TestEveryRouteForEveryVisitor(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	browsers := everyVisitor(t, w)
	for _, route := range routeTable {
		method := http.MethodGet
		var form url.Values
		if route.pattern[0] == 'P' {
			method, form = http.MethodPost, url.Values{}
		}
		for i, visitor := range visitors {
			page := browsers[visitor].Once(method, route.address, form, nil)
			want := wanted(route.want, i)
			if got := outcome(page); got != want {
				t.Errorf("%s %s by %s: %s, want %s", method, route.address, visitor, got, want)
			}
			if method == http.MethodGet {
				head := browsers[visitor].Once(http.MethodHead, route.address, nil, nil)
				if head.Status != page.Status && page.Status != http.StatusNotFound && route.pattern[:2] != "/o" {
					t.Errorf("HEAD %s by %s: %d, but GET %d", route.address, visitor, head.Status, page.Status)
				}
			}
		}
	}
}

func wanted(row []string, visitor int) string {
	switch {
	case len(row) == 1:
		return row[0]
	case visitor < len(row):
		return row[visitor]
	}
	return row[2]
}

// everyVisitor signs everybody in and lets time pass.
func everyVisitor(t *testing.T, w *world) map[string]*portaltest.Browser {
	t.Helper()
	w.AddUser("person")
	stale := w.AddTOTP(w.AddUser("stale"))
	disabled := w.AddUser("disabled")
	w.AddUser("admin", "admins")
	late := w.AddTOTP(w.AddUser("admin-stale", "admins"))
	early := w.AddTOTP(w.AddUser("admin-fresh", "admins"))
	browsers := map[string]*portaltest.Browser{"nobody": w.Browser(), "stale": w.signedIn(t, "stale", stale), "admin-stale": w.signedIn(t, "admin-stale", late)}
	w.Clock.Advance(11 * time.Minute)
	browsers["person"] = w.signedIn(t, "person", "")
	browsers["disabled"] = w.signedIn(t, "disabled", "")
	if err := w.Directory.SetDisabled(t.Context(), disabled, true); err != nil {
		t.Fatal(err)
	}
	browsers["admin-fresh"] = w.signedIn(t, "admin-fresh", early)
	browsers["admin"] = w.Browser()
	if page := signIn(browsers["admin"], "admin", ""); page.URL.Path != "/login/enrol" {
		t.Fatalf("an administrator without second factor comes to %s", page.URL)
	}
	return browsers
}

// outcome is an answer in short: its status, and where it leads or its fault.
func outcome(p *portaltest.Page) string {
	s := strconv.Itoa(p.Status)
	if to := p.Header.Get("Location"); to != "" {
		return s + " " + to
	}
	if p.Error != "" {
		return s + " " + p.Error
	}
	return s
}

// A route that is new in routes.go must come into the table above.
func TestRouteTableIsComplete(t *testing.T) {
	source, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"((?:[A-Z]+ )?/[^"]*)"[:,] +p\.`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 20 {
		t.Fatalf("only %d routes found in routes.go", len(found))
	}
	known := map[string]bool{}
	for _, route := range routeTable {
		known[route.pattern] = true
	}
	for _, route := range found {
		if !known[route[1]] {
			t.Errorf("no test of route %q", route[1])
		}
	}
}

// A POST without a fresh factor changes nothing, whatever it carries.
func TestNothingChangesWithoutFreshFactor(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	carol := w.AddUser("carol")
	secret := w.AddTOTP(carol)
	b := w.signedIn(t, "carol", secret)
	w.Clock.Advance(11 * time.Minute)
	for _, form := range []url.Values{{"code": {w.Code(secret)}, "action": {"disable"}}, {"code": {w.Code(secret)}}, {}} {
		page := b.Once(http.MethodPost, "/identity/totp", form, nil)
		if got := outcome(page); got != "303 /login/confirm?return=%2Fidentity%2Ftotp" {
			t.Errorf("%v: %s", form, got)
		}
	}
	u, err := w.Directory.User(t.Context(), carol.Sub)
	if err != nil || !u.TOTP {
		t.Fatalf("the second factor has gone (%v)", err)
	}
	// The code was not spent either: it still confirms, and leads back.
	page := b.Submit(b.Get("/login/confirm?return=/identity/totp"), "code", w.Code(secret))
	if page.URL.Path != "/identity/totp" || page.Status != http.StatusOK {
		t.Fatalf("a right code leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
}

// Nor does it take or give a factor: a session left open is no way to make it
// one's own (GHSA-8g9r-9wjw-37j4).
func TestFactorsStayWithoutFreshFactor(t *testing.T) {
	w := newWorld(t, portaltest.Options{Issuer: named})
	carol := w.AddUser("carol")
	b := w.signedIn(t, "carol", "")
	key := addPasskey(t, b, "Key")
	page := b.Get("/identity/passkeys")
	_, answer := passkeytest.Create(t, options(t, page), named) // begun while it was fresh
	w.makeCodes(t, b)
	w.Clock.Advance(11 * time.Minute)
	for path, form := range map[string]url.Values{
		"/identity/passkeys":       {"action": {"remove"}, "id": {identity.PasskeyID(key.ID)}},
		"/identity/passkeys?":      {"credential": {answer}, "name": {"Mallory's"}},
		"/identity/recovery-codes": {},
		"/identity/totp":           {"action": {"disable"}},
	} {
		to := url.QueryEscape(strings.TrimSuffix(path, "?"))
		if got := outcome(b.Once(http.MethodPost, path, form, nil)); got != "303 /login/confirm?return="+to {
			t.Errorf("%s: %s", path, got)
		}
	}
	u, err := w.Directory.User(t.Context(), carol.Sub)
	if err != nil || u.Passkeys != 1 {
		t.Errorf("there are %d passkeys (%v)", u.Passkeys, err)
	}
	if state, err := w.Directory.RecoveryState(t.Context(), u); err != nil || !state.CreatedAt.Equal(w.Clock.Now().Add(-11*time.Minute)) {
		t.Errorf("the recovery codes are %+v (%v)", state, err)
	}
}

// Without a second factor it is the password that has to be fresh, also before
// the secret of an enrolment is shown.
func TestEnrolmentAsksForFreshPassword(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.Clock.Advance(11 * time.Minute)
	page := b.Get("/identity/totp")
	if page.URL.Path != "/login/confirm" {
		t.Fatalf("a stale password leads to %s", page.URL)
	}
	before := cookie(t, b, "peerage")
	page = b.Submit(page, "password", "wrong wrong wrong")
	if outcome(page) != "422 wrong_credentials" {
		t.Fatalf("a wrong password gives %s", outcome(page))
	}
	page = b.Submit(page, "password", portaltest.Password)
	if page.URL.Path != "/identity/totp" {
		t.Fatalf("a right password leads to %s", page.URL)
	}
	if cookie(t, b, "peerage") == before {
		t.Error("a fresh factor does not change the session's secret")
	}
}

// A person who becomes an administrator in the middle of a session is led to
// enrol a second factor, by way of a fresh password, and not in a circle.
func TestNewAdministratorWithOldSession(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	eve := w.AddUser("eve")
	b := w.signedIn(t, "eve", "")
	if err := w.Store.ChangeMembers(t.Context(), "admins", []string{eve.Sub}, true); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(11 * time.Minute)
	page := b.Get("/identity")
	if page.URL.Path != "/login/confirm" {
		t.Fatalf("the new administrator comes to %s", page.URL)
	}
	page = b.Submit(page, "password", portaltest.Password)
	if page.URL.Path != "/login/enrol" {
		t.Fatalf("a fresh password leads to %s", page.URL)
	}
	secret := w.enrolmentSecret(t, page)
	// What was fresh when the page was shown may not be when its code comes.
	w.Clock.Advance(9*time.Minute + 59*time.Second)
	w.Clock.Advance(2 * time.Second)
	late := b.Once(http.MethodPost, "/login/enrol", url.Values{"code": {w.Code(secret)}}, nil)
	if got := outcome(late); got != "303 /login/confirm?return=%2Flogin%2Fenrol" {
		t.Fatalf("a code after the password has aged gives %s", got)
	}
	page = b.Submit(b.Get("/login/confirm?return=/login/enrol%3Freturn=/identity"), "password", portaltest.Password)
	page = b.Submit(page, "code", w.Code(w.enrolmentSecret(t, page)))
	if page.URL.Path != "/identity" || page.Status != http.StatusOK {
		t.Fatalf("the enrolment leads to %s (%d)", page.URL, page.Status)
	}
	u, err := w.Directory.User(t.Context(), eve.Sub)
	if err != nil || !u.TOTP || !w.Directory.MustHaveMFA(identity.User{User: u.User, Groups: u.Groups}) {
		t.Fatalf("the administrator has no second factor: %v", err)
	}
}
