package portal

import (
	"maps"
	"strings"
	"testing"
	"time"
)

var testNow = time.Date(2026, 3, 19, 9, 12, 0, 0, time.UTC)

const testLogo = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

func newTestRenderer(t *testing.T, brand Brand) *Renderer {
	t.Helper()
	r, err := NewRenderer(brand, func() time.Time { return testNow })
	if err != nil {
		t.Fatal(err)
	}
	r.Offer(Offers{Tokens: true, Kubeconfig: true, Certificates: true})
	return r
}

// samplePages returns every page in every state worth seeing, with what other
// people chose (names, addresses, groups) given by s.
func samplePages(t *testing.T, s func(string) string) map[string]Page {
	t.Helper()
	grafana := NewAsker(s("Grafana"), "", "https://grafana.example.net/login/generic_oauth")
	native := NewAsker(s("kubectl"), "", "http://127.0.0.1:8000/")
	logo := NewAsker(s("Forgejo"), testLogo, "https://git.example.net:8443/cb")
	key, err := NewKey("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "otpauth://totp/Example%20IX:ada?issuer=Example%20IX&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
	if err != nil {
		t.Fatal(err)
	}
	base := Base{RequestID: "01JD9Q7W3K"}
	traced := Base{RequestID: base.RequestID, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"}
	with := func(fault string) Base { b := base; b.Fault = fault; return b }
	ada := Base{RequestID: base.RequestID, Visitor: &Visitor{UserName: s("ada"), Networks: true, Admin: true}}
	adaWith := func(fault string) Base { b := ada; b.Fault = fault; return b }
	wait := with(FaultThrottled)
	wait.RetryAfter = 30 * time.Second
	req := "V1StGXR8_Z5jdHi6B-myT"

	pages := map[string]Page{
		"signin":              &SignInPage{Base: base, Asker: grafana, Request: req},
		"signin-plain":        &SignInPage{Base: base, Return: "/identity?a=1&b=2"},
		"signin-again":        &SignInPage{Base: base, Asker: logo, UserName: s("ada"), Request: req, Again: true},
		"signin-wrong":        &SignInPage{Base: with(FaultWrongCredentials), Asker: grafana, UserName: s("ada"), Request: req},
		"signin-throttled":    &SignInPage{Base: wait, Asker: grafana, UserName: s("ada"), Request: req},
		"signin-down":         &SignInPage{Base: with(FaultBackendUnavailable), Asker: grafana, UserName: s("ada"), Request: req},
		"code":                &CodePage{Base: base, Asker: grafana, UserName: s("ada"), Request: req},
		"code-wrong":          &CodePage{Base: with(FaultWrongCode), Asker: grafana, UserName: s("ada"), Request: req},
		"enrol":               &EnrolPage{Base: base, Demanded: true, Asker: grafana, Request: req, UserName: s("ada"), Key: key, Passkeys: true},
		"enrol-house":         &EnrolPage{Base: ada, UserName: s("ada"), Key: key},
		"enrol-wrong":         &EnrolPage{Base: with(FaultWrongCode), Demanded: true, UserName: s("ada"), Key: key},
		"consent":             &ConsentPage{Base: base, Asker: grafana, UserName: s("ada"), Request: req, Shares: sampleShares(s)},
		"consent-more":        &ConsentPage{Base: base, Asker: native, UserName: s("ada"), Request: req, Shares: sampleShares(s)[2:], More: true},
		"choose":              &ChoosePage{Base: base, Asker: grafana, UserName: s("ada"), Name: s("Ada Example"), Request: req},
		"confirm_account":     &ConfirmAccountPage{Base: base, Asker: native, UserName: s("ada"), Request: req},
		"needs_link":          &NeedsLinkPage{Base: base, Asker: grafana, UserName: s("ada")},
		"no_access":           &NoAccessPage{Base: traced, Asker: grafana, UserName: s("ada"), Groups: []string{s("noc"), s("as64500")}},
		"device":              &DevicePage{Base: base},
		"device-filled":       &DevicePage{Base: base, UserCode: "BCDF-GHJK"},
		"device-wrong":        &DevicePage{Base: with(FaultWrongCode), UserCode: s("bcdf ghj")},
		"device-throttled":    &DevicePage{Base: wait, UserCode: s("bcdf ghj")},
		"device_consent":      &DeviceConsentPage{Base: base, Asker: grafana, UserName: s("ada"), UserCode: "BCDF-GHJK", Shares: sampleShares(s)},
		"device_done":         &DeviceDonePage{Base: base, Asker: native, Allowed: true},
		"device_done-denied":  &DeviceDonePage{Base: base, Asker: native},
		"no_access-device":    &NoAccessPage{Base: base, Asker: native, Device: true, UserName: s("ada"), Groups: []string{s("noc")}},
		"signout":             &SignOutPage{Base: base, Asker: grafana, UserName: s("ada"), Fields: []Hidden{{"state", s("xyz")}}},
		"signed_out":          &SignedOutPage{Base: base},
		"leave":               &LeavePage{Base: base, Asker: grafana, Target: "https://grafana.example.net/cb?code=1&state=%22%3E"},
		"form_post":           &FormPostPage{Base: base, Asker: grafana, Action: "https://grafana.example.net/cb", Fields: []Hidden{{"code", "1"}, {"state", s("xyz")}}},
		"form_post-denied":    &FormPostPage{Base: with("access_denied"), Asker: grafana, Action: "https://grafana.example.net/cb", Fields: []Hidden{{"error", "access_denied"}}},
		"home":                &HomePage{Base: ada, Name: s("Ada"), OneFactor: true, Password: true, Applications: sampleApplications(s)},
		"home-empty":          &HomePage{Base: ada, Name: s("Ada"), Done: DoneSecondFactorAdded},
		"totp":                &TOTPPage{Base: ada, Since: testNow.AddDate(0, -4, 0), LastUsed: testNow.Add(-3 * time.Minute), Required: true, AskCode: true, Done: DoneSecondFactorAdded},
		"totp-wrong":          &TOTPPage{Base: adaWith(FaultWrongCode), AskCode: true, Since: testNow.AddDate(0, 0, -1)},
		"confirm":             &ConfirmPage{Base: base, UserName: s("ada"), Return: "/identity/totp", AskCode: true, CancelTarget: "/identity"},
		"confirm-both":        &ConfirmPage{Base: with(FaultWrongCredentials), UserName: s("ada"), AskCode: true, AskPassword: true},
		"confirm-passkey":     &ConfirmPage{Base: base, UserName: s("ada"), Return: "/identity/totp", AskRecovery: true, Form: samplePasskeyForm("/login/confirm", false)},
		"confirm-any":         &ConfirmPage{Base: with(FaultWrongCode), UserName: s("ada"), AskCode: true, AskRecovery: true, Form: samplePasskeyForm("/login/confirm", false), Refused: true},
		"passkey":             &PasskeyPage{Base: base, Asker: grafana, Form: samplePasskeyForm("/login/passkey", false), Request: req, Offered: true},
		"passkey-second":      &PasskeyPage{Base: base, UserName: s("ada"), Form: samplePasskeyForm("/login/passkey", false), Return: "/identity", Offered: true, Code: true, Recovery: true},
		"passkey-refused":     &PasskeyPage{Base: with(FaultWrongCredentials), Form: samplePasskeyForm("/login/passkey", false), Return: "/identity?a=1&b=2", Offered: true},
		"passkey-address":     &PasskeyPage{Base: base},
		"recovery_code":       &RecoveryCodePage{Base: base, Asker: grafana, UserName: s("ada"), Request: req, Passkey: true, Code: true},
		"recovery_code-wrong": &RecoveryCodePage{Base: with(FaultWrongCode), UserName: s("ada"), Return: "/identity?a=1&b=2"},
		"code-more":           &CodePage{Base: base, UserName: s("ada"), Return: "/identity?a=1&b=2", Passkey: true, Recovery: true},
		"recovery_codes":      &RecoveryCodesPage{Base: ada, Allowed: true, Left: 9, Made: testNow.AddDate(0, -2, 0)},
		"recovery_codes-few":  &RecoveryCodesPage{Base: ada, Allowed: true, Left: 1, Made: testNow.AddDate(-1, 0, 0)},
		"recovery_codes-none": &RecoveryCodesPage{Base: ada, Allowed: true},
		"recovery_codes-new":  &RecoveryCodesPage{Base: ada, Allowed: true, Left: 10, Made: testNow, Codes: sampleCodes(), UserName: s("ada")},
		"recovery_codes-off":  &RecoveryCodesPage{Base: ada},
		"passkeys":            &PasskeysPage{Base: ada, Passkeys: samplePasskeys(s), Offered: true, Form: samplePasskeyForm("/identity/passkeys", true), Done: DonePasskeyAdded},
		"passkeys-renamed":    &PasskeysPage{Base: ada, Passkeys: samplePasskeys(s), Offered: true, Done: DonePasskeyRenamed},
		"passkeys-stale":      &PasskeysPage{Base: ada, Offered: true, Done: DonePasskeyRemoved},
		"passkeys-refused":    &PasskeysPage{Base: adaWith(FaultWrongCode), Passkeys: samplePasskeys(s)[:1], Offered: true, Form: samplePasskeyForm("/identity/passkeys", true)},
		"passkeys-full":       &PasskeysPage{Base: ada, Passkeys: samplePasskeys(s), Offered: true, Full: true},
		"passkeys-address":    &PasskeysPage{Base: ada},
		"signin-passkey":      &SignInPage{Base: base, Asker: grafana, Request: req, Passkeys: true},
		"totp-both":           &TOTPPage{Base: adaWith(FaultWrongCredentials), AskCode: true, AskPassword: true},
		"totp-passkey":        &TOTPPage{Base: ada, Since: testNow.AddDate(0, -4, 0)},
		"recover":             &RecoverPage{Base: base, Token: "dG9rZW4", UserName: s("ada")},
		"recovery":            &RecoveryPage{Base: base, Mail: true, Email: Field{Name: "email", Kind: FieldEmail, Label: Say("recovery.email"), Value: s("ada@example.net")}},
		"recovery-wrong":      &RecoveryPage{Base: with(FaultWrongEmail), Mail: true, Email: Field{Name: "email", Kind: FieldEmail, Label: Say("recovery.email"), Fault: Say("recovery.email.wrong"), Value: s("ada@")}},
		"recovery-throttled":  &RecoveryPage{Base: wait, Mail: true, Email: Field{Name: "email", Kind: FieldEmail, Label: Say("recovery.email")}},
		"recovery-sent":       &RecoveryPage{Base: base, Mail: true, Sent: true},
		"recovery-no_mail":    &RecoveryPage{Base: base},
		"new_password":        &NewPasswordPage{Base: base, Action: "/recover/dG9rZW4", UserName: s("ada"), Fields: sampleNewPassword(Sentence{})},
		"new_password-wrong":  &NewPasswordPage{Base: with(FaultPasswordShort), Action: "/recover/dG9rZW4", UserName: s("ada"), Fields: sampleNewPassword(Say("fault.password_too_short"))},
		"new_password-invite": &NewPasswordPage{Base: base, Action: "/invite/dG9rZW4", Invitation: true, UserName: s("ada"), Fields: sampleNewPassword(Sentence{})},
		"verify_email":        &VerifyEmailPage{Base: base, Token: "dG9rZW4", UserName: s("ada"), Email: s("ada@example.net")},
		"verify_email-done":   &VerifyEmailPage{Base: base, UserName: s("ada"), Email: s("ada@example.net"), Done: true},
		"signin-set":          &SignInPage{Base: base, Done: DonePasswordSet},
		"signin-chosen":       &SignInPage{Base: base, Done: DonePasswordChosen},
		"profile-unverified":  &ProfilePage{Base: ada, UserName: s("ada"), Email: s("ada@example.net"), MayVerify: true, Done: DoneVerificationSent},
		"recover-wrong":       &RecoverPage{Base: with(FaultWrongCredentials), Token: "dG9rZW4"},
		"profile":             &ProfilePage{Base: ada, UserName: s("ada"), Name: s("Ada Example"), Email: s("ada@example.net"), EmailVerified: true, Groups: []GroupItem{{s("admins"), Say("member.local")}, {s("as64500"), Say("member.peeringdb")}, {s("noc"), Sentence{}}}, SecondFactor: true, Passkeys: 2, RecoveryCodes: 9, Password: true, LastSignIn: testNow.Add(-50 * time.Hour), SignedInWith: methodWords([]string{"pwd", "otp", "mfa"})},
		"profile-bare":        &ProfilePage{Base: ada, UserName: s("ada"), Done: DoneSecondFactorRemoved},
		"profile-codes":       &ProfilePage{Base: ada, UserName: s("ada"), SecondFactor: true, Passkeys: 1},
		"profile-changed":     &ProfilePage{Base: ada, UserName: s("ada"), SecondFactor: true, RecoveryCodes: 1, Password: true, Done: DonePasswordStrong},
		"admin":               &AdminPage{Base: ada, Numbers: sampleNumbers()},
		"ask":                 sampleAsk(ada, s),
		"admin_keys":          sampleKeys(ada),
		"admin_keys-refused":  &KeysPage{Base: adaWith("invalid_request"), Keys: sampleKeys(ada).Keys[:1], Refusal: Say("keys.refused.needed")},
		"admin_events":        sampleEvents(ada, s),
		"admin_events-faults": sampleEventFaults(adaWith("invalid_request"), s),
		"admin_events-none":   &EventsPage{Base: ada, Filter: filterFields(map[string]string{"user": s("nobody")}, nil), Filtered: true, CSV: "/admin/events?format=csv", JSON: "/admin/events?format=json", Most: maxExport},
		"error-redirect":      &ErrorPage{Base: with("invalid_request"), Reason: ReasonRedirectURIUnregistered, Detail: s("https://grafana.example.net/oauth/callback"), Asker: grafana, Back: "https://grafana.example.net/", Description: s("redirect_uri is not registered")},
		"error-client":        &ErrorPage{Base: with("invalid_client"), Description: s("unknown client")},
		"error-expired":       &ErrorPage{Base: with("invalid_request"), Reason: ReasonRequestExpired, Asker: grafana, Back: "https://grafana.example.net/"},
		"error-throttled":     &ErrorPage{Base: wait},
		"error-link":          &ErrorPage{Base: with(FaultLinkExpired)},
		"error-not_found":     &ErrorPage{Base: adaWith(FaultNotFound)},
		"error-unknown_oauth": &ErrorPage{Base: with("unmet_authentication_requirements")},
		"error-internal":      &ErrorPage{Base: traced},
	}
	maps.Copy(pages, sampleAdmin(ada, s))
	maps.Copy(pages, sampleClientPages(ada, s))
	maps.Copy(pages, sampleAccount(ada, s))
	maps.Copy(pages, samplePeeringDB(ada, s))
	maps.Copy(pages, sampleOpenBao(ada, s))
	return pages
}

func sampleNewPassword(fault Sentence) []Field {
	return []Field{{Name: "new_password", Kind: FieldPassword, Label: Say("field.new_password"), Hint: Say("field.new_password.hint"), Autocomplete: "new-password", Fault: fault, Value: "never shown"},
		{Name: "repeat_password", Kind: FieldPassword, Label: Say("field.repeat_password"), Autocomplete: "new-password"}}
}

// samplePasskeyForm is one whose script has something to begin with.
func samplePasskeyForm(action string, add bool) PasskeyForm {
	return PasskeyForm{Action: action, Options: `{"publicKey":{"challenge":"AAAAAAAAAAAAAAAAAAAAAA","rpId":"localhost"}}`, Add: add, Naming: add, Name: "Blue key", Primary: true, First: !add}
}

func samplePasskeys(s func(string) string) []Passkey {
	return []Passkey{
		{ID: "AAAA", Name: s("Work laptop"), Since: testNow.AddDate(0, -3, 0), LastUsed: testNow.Add(-2 * time.Hour), Removal: "/identity/passkeys?remove=AAAA"},
		{ID: "BBBB", Since: testNow.Add(-time.Minute), Removal: "/identity/passkeys?remove=BBBB"},
	}
}

func sampleCodes() []string {
	return []string{"x4k2-9mfd-07qt", "n3p8-1hzr-b6vw", "0c5t-gy2e-m9ka", "d7wq-4sxn-83rj", "v1fb-6ket-p0hz", "9ma2-jc7d-w5xs", "qe4g-80nv-t3yk", "2rhp-zb6m-f19c", "k8xw-5dqa-e7t0", "s6yj-v3cn-4g2p"}
}

func sampleShares(s func(string) string) []Share {
	return []Share{
		{Kind: ShareKindOf("openid")},
		{Kind: ShareKindOf("profile"), Values: []string{s("Ada Example"), s("ada")}},
		{Kind: ShareKindOf("email"), Values: []string{s("ada@example.net")}, Verified: true},
		{Kind: ShareKindOf("groups"), Values: []string{s("as64500"), s("as64501"), s("noc")}},
		{Kind: ShareKindOf("networks"), New: true},
		{Kind: ShareKindOf("offline_access")},
		{Kind: ShareKindOf("looking-glass"), Scope: s("looking-glass"), Values: []string{s("read")}},
	}
}

func sampleApplications(s func(string) string) []Application {
	return []Application{
		{Name: s("Grafana"), Description: s("Graphs and alerts"), LaunchURI: "https://grafana.example.net/"},
		{Name: s("Forgejo"), Description: s("Source code"), Logo: testLogo, LaunchURI: "https://git.example.net/"},
		{Name: s("Looking glass"), Description: s("Routes as the servers see them"), LaunchURI: "https://lg.example.net/"},
		{Name: s("NetBox")},
	}
}

// emptyPages returns every page with nothing in it but what a handler cannot
// leave out.
func emptyPages() map[string]Page {
	ada := Base{Visitor: &Visitor{}}
	return map[string]Page{
		"signin": &SignInPage{}, "code": &CodePage{}, "enrol": &EnrolPage{Demanded: true}, "enrol-house": &EnrolPage{Base: ada},
		"consent": &ConsentPage{Asker: &Asker{}}, "choose": &ChoosePage{}, "confirm_account": &ConfirmAccountPage{},
		"needs_link": &NeedsLinkPage{}, "no_access": &NoAccessPage{}, "signout": &SignOutPage{}, "signed_out": &SignedOutPage{},
		"leave": &LeavePage{Asker: &Asker{}}, "form_post": &FormPostPage{Asker: &Asker{}}, "home": &HomePage{Base: ada},
		"device": &DevicePage{}, "device_consent": &DeviceConsentPage{Asker: &Asker{}}, "device_done": &DeviceDonePage{Asker: &Asker{}},
		"error": &ErrorPage{}, "admin": &AdminPage{Base: ada}, "ask": &AskPage{Base: ada},
		"admin_users": &UsersPage{Base: ada, Search: Field{Name: "q"}, State: Field{Name: "state", Kind: FieldSelect}}, "admin_user_new": &NewUserPage{Base: ada}, "admin_user": &UserPage{Base: ada},
		"admin_groups": &GroupsPage{Base: ada, Name: Field{Name: "group"}}, "admin_group": &GroupPage{Base: ada, Person: Field{Name: "username"}}, "admin_import": &ImportPage{Base: ada, File: Field{Name: "file", Kind: FieldFile}},
		"totp": &TOTPPage{Base: ada}, "confirm": &ConfirmPage{}, "recover": &RecoverPage{},
		"recovery": &RecoveryPage{}, "new_password": &NewPasswordPage{}, "verify_email": &VerifyEmailPage{}, "profile": &ProfilePage{Base: ada},
		"passkey": &PasskeyPage{}, "recovery_code": &RecoveryCodePage{}, "recovery_codes": &RecoveryCodesPage{Base: ada}, "passkeys": &PasskeysPage{Base: ada},
		"clients": &ClientsPage{Base: ada}, "recipes": &RecipesPage{Base: ada}, "recipe": &RecipePage{Base: ada}, "client": &ClientPage{Base: ada, KeepOld: keepOldField("", nil), Person: personField("", nil)},
		"client_secret": &ClientSecretPage{Base: ada}, "client_test_result": &ClientTestPage{Base: ada, Again: personField("", nil)},
		"admin_keys": &KeysPage{Base: ada}, "admin_events": &EventsPage{Base: ada},
		"password": &PasswordPage{Base: ada}, "consents": &ConsentsPage{Base: ada}, "consents-one": &ConsentsPage{Base: ada, Consents: make([]ConsentItem, 1)},
		"sessions": &SessionsPage{Base: ada}, "sessions-one": &SessionsPage{Base: ada, Sessions: []SessionItem{{Browser: browserWords("")}}},
		"activity": &ActivityPage{Base: ada},
	}
}

// hostile are what a person or an application may call itself.
var hostile = map[string]func(string) string{
	"plain":  func(v string) string { return v },
	"markup": func(v string) string { return `<script>alert(1)</script>"'><img src=x onerror=alert(1)>` + v },
	"bidi":   func(v string) string { return v + "\u202e\u2066\u200fgnp.exe\x00\x1b[31m" },
	"long":   func(v string) string { return strings.Repeat(v+"W", 10000/(len(v)+1)) },
	"quote":  func(v string) string { return "`{{.}}` {user} %s &amp; " + v },
	"blank":  func(string) string { return "" },
}

// privateUse is an address that html/template would refuse as a plain string.
const privateUse = "com.example.app:/cb?code=1"
