package idp_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"peerage/identity"
	"peerage/idp"
	"peerage/portal/portaltest"
)

// modelPerson is what the model knows of a person.
type modelPerson struct {
	identity.User
	secret   string // of the second factor, "" for none
	lastStep int64  // of the code that counted last
	disabled bool
	link     bool // a one-time link is needed before enrolling
	noc      bool
	admin    bool
	consents map[string][]string // by client
	// Recovery codes that count, and those that were used or replaced.
	codes, spent []string
}

// proof is what somebody proved in a browser.
type proof struct {
	person *modelPerson
	acr    string
	at     time.Time
	// Of a half-done sign-in: it asked for a code of the app, and how long it waits.
	code  bool
	until time.Time
}

// modelBrowser is one browser and what was proved in it.
type modelBrowser struct {
	*portaltest.Browser
	name    string
	session *proof
	pending *proof // the password was right, a code or an enrolment is outstanding
}

// modelRequest is one authorization in flight.
type modelRequest struct {
	id, client string
	browser    *modelBrowser // nil: nobody holds it yet
	prompts    string
	maxAge     int // -1: not asked
	created    time.Time
	scopes     []string
	// answers are the persons who answered one of its pages with yes.
	consented, confirmed, chosen *modelPerson
	otherAt                      time.Time // "another account" was chosen
}

// flowModel drives the pages of a site as two people do in two browsers, by
// right and by wrong, and judges every code that comes out.
type flowModel struct {
	w        *world
	browsers []*modelBrowser
	people   []*modelPerson
	requests []*modelRequest
	keys     []*modelKey // of both people, removed ones too
	codes    int
	others   map[string]int // what was given beside passwords and codes of the app
	said     []string
}

// demanding tells whether this client needs two factors of this person.
func (p *modelPerson) demanding(client string) bool { return p.admin || client == "mfa" }

func (m *flowModel) say(format string, args ...any) {
	m.said = append(m.said, fmt.Sprintf(format, args...))
}

// see judges what a browser shows after any request.
func (m *flowModel) see(t *rapid.T, b *modelBrowser, page *portaltest.Page) {
	if page.Status >= 500 {
		t.Fatalf("%s: %s gives %d %q\n%s", b.name, page.URL, page.Status, page.Error, strings.Join(m.said, "\n"))
	}
	m.agree(t, b)
	if page.Left == "" {
		if id := requestOf(page); id != "" && m.find(id) == nil {
			m.adopt(id, b)
		}
		return
	}
	client := ""
	for id, c := range testClients {
		if strings.HasPrefix(page.Left, c.callback+"?") {
			client = id
		}
	}
	q := page.Query(m.w.t)
	if client == "" || q.Get("iss") != m.w.Issuer || !strings.HasPrefix(q.Get("state"), "r") {
		t.Fatalf("%s leaves for %q\n%s", b.name, page.Left, strings.Join(m.said, "\n"))
	}
	if code := q.Get("code"); code != "" {
		m.judge(t, b, client, code, q.Get("state"))
	}
}

// adopt notes the id under which a posted request goes on in its browser.
func (m *flowModel) adopt(id string, b *modelBrowser) {
	for _, r := range m.requests {
		if r.id == "" && r.browser == b {
			r.id = id
		}
	}
}

func (m *flowModel) find(id string) *modelRequest {
	for _, r := range m.requests {
		if r.id == id {
			return r
		}
	}
	return nil
}

// judge: a code appeared. Did this browser's person give what was demanded?
func (m *flowModel) judge(t *rapid.T, b *modelBrowser, client, code, state string) {
	m.codes++
	var r *modelRequest
	for i, candidate := range m.requests {
		if fmt.Sprintf("r%d", i) == state {
			r = candidate
		}
	}
	fail := func(format string, args ...any) {
		t.Fatalf("%s got a code of %s for %s: %s\n%s", b.name, client, state, fmt.Sprintf(format, args...), strings.Join(m.said, "\n"))
	}
	if r == nil || r.client != client || r.browser != b {
		fail("that request is not this browser's")
	}
	s := b.session
	if s == nil {
		fail("nobody is signed in here")
	}
	p := s.person
	tokens := m.w.as(client, grantForm(client, code))
	claims := claimsOf(tokens.Str("id_token"))
	if claims["sub"] != p.Sub || claims["auth_time"] != float64(s.at.Unix()) || claims["acr"] != s.acr {
		fail("the token says %v; %s signed in at %d with acr %s (%s)", claims, p.Username, s.at.Unix(), s.acr, tokens.Body)
	}
	if p.disabled || p.link {
		fail("%s is disabled or reset", p.Username)
	}
	if p.demanding(client) && s.acr == identity.ACROneFactor {
		fail("two factors are demanded of %s", p.Username)
	}
	if client == "noc" && !p.noc {
		fail("%s may not use it", p.Username)
	}
	if strings.Contains(r.prompts, "login") && s.at.Before(r.created) || s.at.Before(r.otherAt) {
		fail("%s signed in before that", p.Username)
	}
	if r.maxAge >= 0 && m.w.Clock.Now().Sub(s.at) > time.Duration(r.maxAge)*time.Second && s.at.Before(r.created) {
		fail("%s signed in too long ago", p.Username)
	}
	trusted := client != "web" && client != "kube"
	missing := slices.ContainsFunc(r.scopes, func(scope string) bool { return !slices.Contains(p.consents[client], scope) })
	if r.consented != p && (!trusted && missing || strings.Contains(r.prompts, "consent")) {
		fail("%s did not consent to %v", p.Username, r.scopes)
	}
	if client == "kube" && r.consented != p && r.confirmed != p && r.chosen != p && s.at.Before(r.created) {
		fail("%s did not confirm", p.Username)
	}
	if strings.Contains(r.prompts, "select_account") && r.chosen != p && s.at.Before(r.created) {
		fail("%s chose no account", p.Username)
	}
}

// newFlowModel makes two browsers and two people on a site that stays.
func newFlowModel(t *rapid.T, w *world, serial int, password string, others map[string]int) *flowModel {
	w.Clock.Advance(time.Hour) // the throttles of the run before are empty
	m := &flowModel{w: w, others: others}
	for i, name := range []string{"one", "two"} {
		m.browsers = append(m.browsers, &modelBrowser{Browser: w.Browser(), name: name})
		p := &modelPerson{User: w.person(fmt.Sprintf("p%d-%d", serial, i)), consents: map[string][]string{}}
		if err := w.Store.SetPassword(w.t.Context(), p.Sub, password, ""); err != nil {
			t.Fatal(err)
		}
		m.people = append(m.people, p)
	}
	if rapid.Bool().Draw(t, "the first has a factor") {
		p := m.people[0]
		p.secret = w.AddTOTP(p.User)
		p.lastStep = w.Clock.Now().Unix()/30 - 2
	}
	if rapid.Bool().Draw(t, "the second is an administrator") {
		p := m.people[1]
		p.admin = true
		if err := w.Store.ChangeMembers(w.t.Context(), "admins", []string{p.Sub}, true); err != nil {
			t.Fatal(err)
		}
	}
	m.addKey(t, m.people[0], m.people[0].User)
	if rapid.Bool().Draw(t, "the second has a passkey") {
		m.addKey(t, m.people[1], m.people[1].User)
	}
	for _, p := range m.people {
		if m.hasFactor(p) {
			m.makeCodes(t, p)
		}
	}
	return m
}

// Random requests of two people in two browsers: whenever a code appears, its
// person gave the demanded factors in this very browser, and consented; and
// nothing breaks.
func TestNoCodeWithoutItsFactorsAndItsConsent(t *testing.T) {
	idp.RapidChecks(t, "30", "40")
	w := namedWorld(t)
	w.person("root", "admins") // the last administrator could not be disabled
	password, err := identityPasswordHash()
	if err != nil {
		t.Fatal(err)
	}
	serial, codes, others := 0, 0, map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		serial++
		m := newFlowModel(t, w, serial, password, others)
		defer func() { // a browser that fails ends the test itself
			if w.t.Failed() {
				w.t.Logf("the walk was:\n%s", strings.Join(m.said, "\n"))
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"authorize": m.authorize, "authorize again": m.authorize, "posted authorize": m.post, "sign in": m.signIn, "sign in rightly": m.signInRightly,
			"code": m.code, "enrol": m.enrol, "decide": m.decide, "walk": m.walk, "walk on": m.walk, "walk again": m.walk, "sign out": m.signOut, "jump": m.jump, "resume": m.resume,
			"change a person": m.change, "wait": m.wait, "passkey": m.passkey, "come back": m.comeBack, "come back again": m.comeBack, "recovery code": m.recover, "change factors": m.changeFactors,
		})
		codes += m.codes
	})
	w.calm()
	t.Logf("%d codes in %d walks; given were %v", codes, serial, others)
	if (codes < 15 || len(others) == 0) && !t.Failed() && !testing.Short() {
		t.Errorf("only %d codes came, %v were given: the walk is not worth much", codes, others)
	}
}
