package identity_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"peerage/identity"
)

func TestMetricsCount(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	_, secret := w.enrolled("bob")
	b, other := browser(), browser()
	u := w.signIn(&b, "ada").User
	w.signIn2(&other, "bob", secret)
	w.nextStep()
	half := browser()
	w.half(half, "bob")
	if _, err := w.Answer(w.ctx, half, w.wrongCode(secret)); err == nil {
		t.Fatal("a wrong code is right")
	}
	for range 6 {
		if _, err := w.SignIn(w.ctx, browser(), "ada", "wrong horse"); err == nil {
			t.Fatal("a wrong password is right")
		}
	}
	r.breakDown(true)
	if _, err := w.SignIn(w.ctx, browser(), "nobody", password); err == nil {
		t.Fatal("a broken backend lets in")
	}
	if err := w.SignOut(w.ctx, other.Session); err != nil {
		t.Fatal(err)
	}
	w.Limited("requests")
	wantMetrics(t, w, `
# HELP peerage_login_total Sign-ins that ended, by result.
# TYPE peerage_login_total counter
peerage_login_total{result="failure"} 6
peerage_login_total{result="success"} 2
peerage_login_total{result="throttled"} 1
peerage_login_total{result="unavailable"} 1
# HELP peerage_rate_limited_total Requests that a limit refused, by rule.
# TYPE peerage_rate_limited_total counter
peerage_rate_limited_total{rule="login"} 1
peerage_rate_limited_total{rule="requests"} 1
# HELP peerage_sessions Live sessions of browsers.
# TYPE peerage_sessions gauge
peerage_sessions 1
`, "peerage_login_total", "peerage_rate_limited_total", "peerage_sessions")

	r.breakDown(false)
	if err := w.SetPassword(w.ctx, u, "short"); err == nil {
		t.Fatal("a short password is accepted")
	}
	if err := w.SetPassword(w.ctx, u, "another horse"); err != nil {
		t.Fatal(err)
	}
	wantMetrics(t, w, `
# HELP peerage_password_change_total Password changes, by result.
# TYPE peerage_password_change_total counter
peerage_password_change_total{result="failure"} 1
peerage_password_change_total{result="success"} 1
`, "peerage_password_change_total")

	// local: login success, answer success and failure; remote: login success,
	// failure and unavailable.
	if n := testutil.CollectAndCount(w.metrics, "peerage_backend_request_duration_seconds"); n != 6 {
		t.Errorf("%d series of backend times, want 6", n)
	}
	if problems, err := testutil.GatherAndLint(w.metrics); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func wantMetrics(t *testing.T, w *world, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesTheSameMetricsTwice(t *testing.T) {
	w := newWorld(t)
	_, err := identity.New(identity.Config{}, identity.Deps{Store: w.store, Backends: []identity.Backend{newRemote()}, Registerer: w.metrics})
	if err == nil {
		t.Error("metrics of two directories in one registry")
	}
	if _, err := identity.New(identity.Config{}, identity.Deps{Store: w.store}); err == nil {
		t.Error("a directory without a backend")
	}
}
