package portal_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// drive makes one event happen through the pages and endpoints. Its prepare
// gets everything ready; what it returns is the one thing that makes the event,
// once, with these values.
type drive struct {
	event, result, user, client string
	// by is the administrator who did it to somebody else.
	by      string
	prepare func(*scene) (act func())
}

// scene is a site on which one event happens.
type scene struct {
	*world
	t   *testing.T
	pdb *peered
}

// trusted needs no consent, and wants to hear of sign-outs at an address.
func trusted(address string) string {
	return `{"client_id":"trusted","client_secret":"wiki-secret","redirect_uris":["https://trusted.example.net/cb"],"trusted":true,"backchannel_logout_uri":"` + address + `"}`
}

func newScene(t *testing.T) *scene {
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	t.Cleanup(listener.Close)
	s := newPeeredWith(t, portaltest.Options{Issuer: named, Clients: "[" + grafana + "," + wiki + "," + trusted(listener.URL) + "]"}, nil, 64500)
	return &scene{s.world, t, s}
}

// bob is a person with a password, and a browser in which he is signed in.
func (s *scene) bob() *portaltest.Browser {
	s.AddUser("bob")
	return s.signedIn(s.t, "bob", "")
}

// bobsPage is the page of bob in the administration, and an administrator's browser.
func (s *scene) bobsPage() (*portaltest.Browser, string) {
	u := s.AddUser("bob")
	return s.administrator(s.t, "root"), "/admin/users/" + u.Sub
}

// code is an authorization code of grafana for bob.
func (s *scene) code() string {
	b := s.bob()
	return code(s.t, b.Submit(b.Get(portaltest.Authorize("grafana", callback, "scope", "openid offline_access")), "decision", "allow"), callback)
}

func (s *scene) tokens() portaltest.Answer {
	tokens := s.Redeem("grafana", "grafana-secret", s.code(), callback)
	if tokens.Str("refresh_token") == "" {
		s.t.Fatalf("no tokens: %d %s", tokens.Status, tokens.Body)
	}
	return tokens
}

// app is the page of a client made by the administrator whose browser it is.
func (s *scene) app() (*portaltest.Browser, string) {
	b := s.administrator(s.t, "root")
	b.Post(named+"/admin/clients", url.Values{"client_id": {"app"}, "redirect_uris": {"https://app.example.net/cb"}})
	return b, named + "/admin/clients/app"
}

// press is an administrator's button.
func press(b *portaltest.Browser, address string, pairs ...string) func() {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return func() { b.Post(address, form) }
}

func onBob(pairs ...string) func(*scene) func() {
	return func(s *scene) func() {
		b, page := s.bobsPage()
		return press(b, page, pairs...)
	}
}

func onApp(pairs ...string) func(*scene) func() {
	return func(s *scene) func() {
		b, page := s.app()
		return press(b, page, pairs...)
	}
}

func onGroups(before ...[]string) func(*scene) func() {
	return func(s *scene) (act func()) {
		b, _ := s.bobsPage()
		for _, pairs := range before {
			if act != nil {
				act()
			}
			act = press(b, "/admin/groups", pairs...)
		}
		return act
	}
}

func onKeys(pairs ...string) func(*scene) func() {
	return func(s *scene) func() { return press(s.administrator(s.t, "root"), "/admin/keys", pairs...) }
}

// signsIn is somebody at the second page of the sign-in, or at the first.
func signsIn(second bool, pairs ...string) func(*scene) func() {
	return func(s *scene) func() {
		u := s.AddUser("bob")
		b := s.Browser()
		if !second {
			page := b.Get("/login")
			return func() { b.Submit(page, pairs...) }
		}
		secret := s.AddTOTP(u)
		page := signIn(b, "bob", "")
		if len(pairs) == 0 {
			pairs = []string{"code", s.Code(secret)}
		}
		return func() { b.Submit(page, pairs...) }
	}
}

var drives = slices.Concat(signInDrives, protocolDrives, accountDrives, adminDrives)

var signInDrives = []drive{
	{event: "login_success", result: "success", user: "bob", prepare: signsIn(false, "username", "bob", "password", portaltest.Password)},
	{event: "login_failure", result: "failure", user: "bob", prepare: signsIn(false, "username", "bob", "password", "wrong")},
	{event: "mfa_challenge", result: "success", user: "bob", prepare: func(s *scene) func() {
		s.AddTOTP(s.AddUser("bob"))
		return func() { signIn(s.Browser(), "bob", "") }
	}},
	{event: "mfa_success", result: "success", user: "bob", prepare: signsIn(true)},
	{event: "mfa_failure", result: "failure", user: "bob", prepare: signsIn(true, "code", "000000")},
	{event: "logout", result: "success", user: "bob", prepare: func(s *scene) func() {
		b := s.bob()
		return press(b, "/logout", "logout", "yes")
	}},
	{event: "session_expired", result: "success", user: "bob", prepare: func(s *scene) func() {
		s.bob()
		s.Clock.Advance(25 * time.Hour)
		return func() { s.Directory.Expire(s.t.Context(), 100) }
	}},
	{event: "session_revoke", result: "success", user: "bob", by: "root", prepare: onBob("action", "sign-out")},
	{event: "recovery_code_use", result: "success", user: "bob", prepare: func(s *scene) func() {
		secret := s.AddTOTP(s.AddUser("bob"))
		codes, _ := s.makeCodes(s.t, s.signedIn(s.t, "bob", secret))
		lost := s.Browser()
		signIn(lost, "bob", "")
		return press(lost, "/login/recovery", "code", codes[0])
	}},
}

var protocolDrives = []drive{
	{event: "oidc_authorize", result: "code", user: "bob", client: "trusted", prepare: func(s *scene) func() {
		b := s.bob()
		return func() { b.Get(portaltest.Authorize("trusted", "https://trusted.example.net/cb")) }
	}},
	{event: "consent_grant", result: "success", user: "bob", client: "grafana", prepare: func(s *scene) func() {
		b := s.bob()
		page := b.Get(portaltest.Authorize("grafana", callback))
		return func() { b.Submit(page, "decision", "allow") }
	}},
	{event: "consent_revoke", result: "success", user: "bob", by: "root", prepare: func(s *scene) func() {
		s.tokens()
		b := s.administrator(s.t, "root")
		return press(b, "/admin/users/"+s.person(s.t, "bob").Sub, "action", "sign-out", "consents", "yes")
	}},
	{event: "app_access_denied", result: "denied", user: "bob", client: "wiki", prepare: func(s *scene) func() {
		b := s.bob()
		return func() { b.Get(portaltest.Authorize("wiki", wikiCallback)) }
	}},
	{event: "oidc_token", result: "success", user: "bob", client: "grafana", prepare: func(s *scene) func() {
		code := s.code()
		return func() { s.Redeem("grafana", "grafana-secret", code, callback) }
	}},
	{event: "oidc_userinfo", result: "success", user: "bob", client: "grafana", prepare: func(s *scene) func() {
		token := s.tokens().Str("access_token")
		return func() { s.UserInfo(token) }
	}},
	{event: "token_revoke", result: "success", client: "grafana", prepare: func(s *scene) func() {
		token := s.tokens().Str("refresh_token")
		return func() {
			s.Call(http.MethodPost, "/oauth2/revoke", url.Values{"token": {token}}, func(r *http.Request) { r.SetBasicAuth("grafana", "grafana-secret") })
		}
	}},
	{event: "refresh_reuse", result: "failure", user: "bob", client: "grafana", prepare: func(s *scene) func() {
		token := s.tokens().Str("refresh_token")
		s.Refresh("grafana", "grafana-secret", token)
		s.Clock.Advance(time.Minute)
		return func() { s.Refresh("grafana", "grafana-secret", token) }
	}},
	{event: "code_replay", result: "failure", client: "grafana", prepare: func(s *scene) func() {
		code := s.code()
		s.Redeem("grafana", "grafana-secret", code, callback)
		return func() { s.Redeem("grafana", "grafana-secret", code, callback) }
	}},
	{event: "backchannel_logout", result: "success", client: "trusted", prepare: func(s *scene) func() {
		b := s.bob()
		page := b.Get(portaltest.Authorize("trusted", "https://trusted.example.net/cb"))
		s.Redeem("trusted", "wiki-secret", page.Query(s.t).Get("code"), "https://trusted.example.net/cb")
		press(b, "/logout", "logout", "yes")()
		return func() { s.Provider.DeliverLogouts(s.t.Context()) }
	}},
}

// linked is bob, whose account is linked with ada's at PeeringDB, and his browser.
func (s *scene) linked() *portaltest.Browser {
	b := s.bob()
	b.Get(s.linking(b))
	return b
}

// linking is the address at which bob comes back from PeeringDB, where ada agreed.
func (s *scene) linking(b *portaltest.Browser) string {
	return s.pdb.atPeeringDB(s.pdb.leaves(b, "/identity/peeringdb", "action", "link"), "ada")
}

var accountDrives = []drive{
	{event: "peeringdb_link", result: "success", user: "bob", prepare: func(s *scene) func() {
		b := s.bob()
		back := s.linking(b)
		return func() { b.Get(back) }
	}},
	{event: "peeringdb_unlink", result: "success", user: "bob", prepare: func(s *scene) func() {
		return press(s.linked(), "/identity/peeringdb", "action", "unlink")
	}},
	{event: "peeringdb_login", result: "success", user: "bob", prepare: func(s *scene) func() {
		s.linked()
		b := s.Browser()
		back := s.pdb.atPeeringDB(s.pdb.leaves(b, "/login/peeringdb"), "ada")
		return func() { b.Get(back) }
	}},
	{event: "password_change", result: "success", user: "bob", prepare: func(s *scene) func() {
		b := s.bob()
		s.leaks.keep("new password", freshPassword)
		return press(b, named+"/identity/password", "current_password", portaltest.Password, "new_password", freshPassword, "repeat_password", freshPassword)
	}},
	{event: "totp_enable", result: "success", user: "bob", prepare: func(s *scene) func() {
		b := s.bob()
		page := b.Get("/identity/totp")
		secret := s.enrolmentSecret(s.t, page)
		return func() { b.Submit(page, "code", s.Code(secret)) }
	}},
	{event: "totp_disable", result: "success", user: "bob", prepare: func(s *scene) func() {
		secret := s.AddTOTP(s.AddUser("bob"))
		b := s.signedIn(s.t, "bob", secret)
		return press(b, named+"/identity/totp", "code", s.Code(secret), "action", "disable")
	}},
	{event: "recovery_codes_create", result: "success", user: "bob", prepare: func(s *scene) func() {
		b := s.signedIn(s.t, "bob", s.AddTOTP(s.AddUser("bob")))
		return func() { s.makeCodes(s.t, b) }
	}},
	{event: "passkey_add", result: "success", user: "bob", prepare: func(s *scene) func() {
		b := s.bob()
		return func() { addPasskey(s.t, b, "Blue key") }
	}},
	{event: "passkey_remove", result: "success", user: "bob", prepare: func(s *scene) func() {
		b := s.bob()
		page := b.Get("/identity/passkeys?remove=" + identity.PasskeyID(addPasskey(s.t, b, "Blue key").ID))
		return func() { b.Submit(page, "action", "remove") }
	}},
	{event: "email_verify", result: "success", user: "bob", prepare: func(s *scene) func() {
		s.add(s.t, identity.NewUser{Username: "bob", Email: "bob@example.net", Password: portaltest.Password})
		b := s.signedIn(s.t, "bob", "")
		s.Mails()
		b.Submit(b.Get("/identity"), "action", "verify-email")
		_, link := s.MailedLink()
		page := b.Get(s.path(s.t, link))
		return func() { b.Submit(page) }
	}},
	{event: "password_reset", result: "success", user: "bob", prepare: func(s *scene) func() {
		admin, address := s.bobsPage()
		link := s.handedOver(s.t, admin.Post(address, url.Values{"action": {"recovery-link"}}))
		b := s.Browser()
		page := b.Get(link)
		s.leaks.keep("new password", freshPassword)
		return func() { choose(b, page, freshPassword) }
	}},
}

var adminDrives = []drive{
	{event: "admin_user_list", result: "success", user: "root", prepare: func(s *scene) func() {
		b := s.administrator(s.t, "root")
		return func() { b.Get("/admin/users") }
	}},
	{event: "user_create", result: "success", user: "eve", by: "root", prepare: newEve},
	{event: "user_invite", result: "success", user: "eve", by: "root", prepare: newEve},
	{event: "user_update", result: "success", user: "bob", by: "root", prepare: onBob("action", "save", "version", "1", "name", "Robert")},
	{event: "user_disable", result: "success", user: "bob", by: "root", prepare: onBob("action", "disable")},
	{event: "user_enable", result: "success", user: "bob", by: "root", prepare: func(s *scene) func() {
		b, page := s.bobsPage()
		press(b, page, "action", "disable")()
		return press(b, page, "action", "enable")
	}},
	{event: "user_unlock", result: "success", user: "bob", by: "root", prepare: onBob("action", "unlock")},
	{event: "user_delete", result: "success", user: "bob", by: "root", prepare: onBob("action", "delete")},
	{event: "affiliation_added", result: "success", user: "bob", by: "root", prepare: onBob("action", "affiliation-add", "asn", "AS64500")},
	{event: "affiliation_removed", result: "success", user: "bob", by: "root", prepare: func(s *scene) func() {
		b, page := s.bobsPage()
		press(b, page, "action", "affiliation-add", "asn", "64500")()
		return press(b, page, "action", "affiliation-remove", "asn", "64500")
	}},
	{event: "admin_totp_reset", result: "success", user: "bob", by: "root", prepare: onBob("action", "reset-mfa")},
	{event: "recovery_link_create", result: "success", user: "bob", by: "root", prepare: onBob("action", "recovery-link")},
	{event: "group_create", result: "success", by: "root", prepare: onGroups([]string{"action", "create", "group", "noc"})},
	{event: "group_delete", result: "success", by: "root", prepare: onGroups([]string{"action", "create", "group", "noc"}, []string{"action", "delete", "group", "noc"})},
	{event: "group_member_add", result: "success", user: "bob", by: "root", prepare: onGroups([]string{"action", "add", "group", "admins", "username", "bob"})},
	{event: "group_member_remove", result: "success", user: "bob", by: "root",
		prepare: onGroups([]string{"action", "add", "group", "admins", "username", "bob"}, []string{"action", "remove", "group", "admins", "username", "bob"})},
	{event: "client_create", result: "success", user: "root", client: "app", prepare: func(s *scene) func() {
		return press(s.administrator(s.t, "root"), named+"/admin/clients", "client_id", "app", "redirect_uris", "https://app.example.net/cb")
	}},
	{event: "client_update", result: "success", user: "root", client: "app", prepare: onApp("action", "save", "version", "1", "name", "App", "redirect_uris", "https://app.example.net/cb")},
	{event: "client_secret_rotate", result: "success", user: "root", client: "app", prepare: onApp("action", "rotate-secret")},
	{event: "client_disable", result: "success", user: "root", client: "app", prepare: onApp("action", "disable")},
	{event: "client_enable", result: "success", user: "root", client: "app", prepare: func(s *scene) func() {
		b, page := s.app()
		press(b, page, "action", "disable")()
		return press(b, page, "action", "enable")
	}},
	{event: "client_delete", result: "success", user: "root", client: "app", prepare: onApp("action", "delete")},
	{event: "key_rotate", result: "success", user: "root", prepare: onKeys("action", "rotate", "alg", "ES256", "now", "yes")},
	{event: "key_retire", result: "success", user: "root", prepare: func(s *scene) func() {
		b := s.administrator(s.t, "root")
		return press(b, "/admin/keys", "action", "retire", "kid", s.kid(s.t, "ES256", store.KeyActive), "now", "yes")
	}},
}

func newEve(s *scene) func() {
	b := s.administrator(s.t, "root")
	return press(b, "/admin/users", "username", "eve", "email", "eve@example.net")
}

// ofJobs happen without anybody's request.
var ofJobs = []string{"session_expired", "backchannel_logout"}

// Each event that there is happens: one line, and one row that says the same.
func TestEveryEventIsWritten(t *testing.T) {
	for _, d := range drives {
		t.Run(d.event, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			act := d.prepare(s)
			s.skipEvents()
			act()
			s.Directory.Audit.Flush()
			lines := slices.DeleteFunc(s.Log.Lines("audit")[s.told:], func(line map[string]any) bool { return line["event"] != d.event })
			rows, err := s.Store.Events(t.Context(), store.EventFilter{Limit: len(s.Log.Lines("audit")) - s.told})
			if err != nil {
				t.Fatal(err)
			}
			rows = slices.DeleteFunc(rows, func(row store.Event) bool { return row.Event != d.event })
			if len(lines) != 1 || len(rows) != 1 {
				t.Fatalf("%d lines and %d rows, of %v", len(lines), len(rows), s.Log.Lines("audit")[s.told:])
			}
			d.check(t, lines[0], rows[0])
		})
	}
}

func (d drive) check(t *testing.T, line map[string]any, row store.Event) {
	t.Helper()
	address := "127.0.0.1"
	if slices.Contains(ofJobs, d.event) {
		address = ""
	}
	for key, want := range map[string]string{"user": d.user, "client": d.client, "result": d.result, "ip": address} {
		if line[key] != want {
			t.Errorf("%s=%v in the line, want %q", key, line[key], want)
		}
	}
	if row.Username != d.user || row.ClientID != d.client || row.Result != d.result || row.IP != address {
		t.Errorf("the row is %+v", row)
	}
	if by, _ := line["by"].(string); d.by != "" && (by != d.by || !strings.Contains(row.Detail, "by="+d.by)) {
		t.Errorf("done by %q in the line and %q in the row, want %s", by, row.Detail, d.by)
	}
	if strings.Contains(row.Detail, `=""`) {
		t.Errorf("the row has an empty detail: %s", row.Detail)
	}
	if line["request_id"] != row.RequestID || (row.RequestID == "") != (address == "") || row.Time.IsZero() || row.ID == "" {
		t.Errorf("the line has request %v, the row %+v", line["request_id"], row)
	}
}
