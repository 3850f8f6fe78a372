package identity_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"peerage/identity"
)

// TestNoSessionWithoutProof explores what two browsers and two people can do
// in any order. Whatever happens: no session without the right password or
// passkey, none of two factors without a right code, passkey or recovery code
// (each recovery code once), none of a disabled person, and none under a secret
// from before (CVE-2025-64103, CVE-2026-7507).
func TestNoSessionWithoutProof(t *testing.T) {
	identity.RapidChecks(t, "80")
	w := newWorld(t, named)
	run := 0
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		run++
		w.ctx = from(fmt.Sprint("run-", run))(t.Context())
		m := &machine{world: w, reached: reached}
		m.people[0] = &modelPerson{user: w.person(fmt.Sprintf("ada-%d", run)), enabled: true}
		m.people[1] = &modelPerson{enabled: true}
		m.people[1].user, m.people[1].secret = w.enrolled(fmt.Sprintf("bob-%d", run))
		for i := range m.browsers {
			m.browsers[i] = &modelBrowser{Browser: browser(), half: -1, session: -1}
		}
		actions := map[string]func(*rapid.T){
			"":            m.check,
			"sign in":     m.doSignIn,
			"answer":      m.doAnswer,
			"answer soon": m.doAnswer, // twice as often
			"enrol":       m.doEnrol,
			"enrol soon":  m.doEnrol,
			"confirm":     m.doConfirm,
			"remove":      m.doRemove,
			"remove soon": m.doRemove,
			"use link":    m.doUseLink,
			"intervene":   m.doIntervene,
			"sign out":    m.doSignOut,
			"let time go": m.doWait,

			"sign in by passkey":       m.doPasskeySignIn,
			"answer by passkey":        m.doPasskeyAnswer,
			"confirm by passkey":       m.doPasskeyConfirm,
			"add a passkey":            m.doPasskeyAdd,
			"remove a passkey":         m.doPasskeyRemove,
			"make codes":               m.doMakeCodes,
			"answer by recovery code":  m.doRecoveryAnswer,
			"confirm by recovery code": m.doRecoveryConfirm,
			"come back":                m.doComeBack,
			"come back soon":           m.doComeBack,
		}
		for range 3 { // longer stories than rapid's thirty steps
			rt.Repeat(actions)
		}
	})
	t.Logf("got through: %v", reached)
	if testing.Short() {
		return // rapid does a fifth of the runs then, too few to get everywhere
	}
	// The machine is worth something only when it gets to these places.
	for _, place := range []string{"sign in", "answer", "enrol at sign-in", "enrol from session", "confirm", "remove", "use link", "sign out",
		"sign in by passkey", "answer by passkey", "confirm by passkey", "add a passkey", "remove a passkey", "make codes", "answer by recovery code", "confirm by recovery code"} {
		if reached[place] == 0 {
			t.Errorf("no run ever got through %q: %v", place, reached)
		}
	}
}

func (m *machine) doSignIn(t *rapid.T) {
	b, who := m.pick(t)
	p := m.people[who]
	text, right := m.password(t)
	secret, err := m.SignIn(m.ctx, b.Browser, p.user.Username, text)
	if err != nil {
		return
	}
	if !right || !p.enabled {
		t.Fatalf("a wrong password (%v) or a disabled person (%v) came in", !right, !p.enabled)
	}
	if secret == "" {
		b.half, b.asked, b.mayEnrol = who, p.secret != "", false
		return
	}
	if m.hasFactor(who) || p.needsLink {
		t.Fatalf("the password alone signed in (factor %v, needs link %v)", m.hasFactor(who), p.needsLink)
	}
	m.reached["sign in"]++
	b.begin(secret, who, identity.ACROneFactor)
}

func (m *machine) doAnswer(t *rapid.T) {
	b, who := m.pick(t)
	if b.half < 0 && rapid.SampledFrom([]bool{true, true, true, false}).Draw(t, "where a code is asked") {
		b = m.browsers[0]
		if b.half < 0 {
			b = m.browsers[1]
		}
	}
	secret := ""
	if b.half >= 0 {
		secret, who = m.people[b.half].secret, 1-b.half
	}
	code := m.code(t, secret, who)
	session, err := m.Answer(m.ctx, b.Browser, code)
	if err != nil {
		return
	}
	if b.half < 0 || !b.asked || !m.people[b.half].enabled || !m.counts(m.people[b.half], secret, code) {
		t.Fatalf("the code %s made a session of %+v", code, b)
	}
	m.reached["answer"]++
	b.begin(session, b.half, identity.ACRTwoFactors)
	b.half = -1
}

func (m *machine) doEnrol(t *rapid.T) {
	b, _ := m.pick(t)
	if b.half >= 0 && rapid.Bool().Draw(t, "at sign-in") {
		m.enrolAtSignIn(t, b)
		return
	}
	v, err := m.Visitor(m.ctx, b.Session)
	if err != nil {
		return
	}
	p := m.people[b.session]
	m.show(t, b, p, v.User)
	code := m.code(t, p.pending, 1-b.session)
	secret, err := m.EnrolVisitor(m.ctx, b.Browser, v, code)
	if err != nil {
		return
	}
	if p.pendingIn != b {
		t.Fatal("a secret that another browser was shown was enrolled")
	}
	m.activated(t, p, code)
	m.reached["enrol from session"]++
	b.begin(secret, b.session, stronger(b.acr, identity.ACRTwoFactors))
}

func (m *machine) enrolAtSignIn(t *rapid.T, b *modelBrowser) {
	p := m.people[b.half]
	if _, u, err := m.Pending(m.ctx, b.Browser); err == nil {
		shown := m.show(t, b, p, u)
		if shown && p.needsLink && !b.mayEnrol {
			t.Fatal("the secret was shown to a browser that has used no link up")
		}
	}
	code := m.code(t, p.pending, 1-b.half)
	secret, err := m.EnrolSignIn(m.ctx, b.Browser, code)
	if err != nil {
		return
	}
	if p.pendingIn != b {
		t.Fatal("a secret that another browser was shown was enrolled")
	}
	if m.asked(b) || !p.enabled || p.needsLink && !b.mayEnrol {
		t.Fatalf("%+v enrolled %+v", b, p)
	}
	m.activated(t, p, code)
	m.reached["enrol at sign-in"]++
	b.begin(secret, b.half, identity.ACRTwoFactors)
	b.half = -1
}

// show begins an enrolment or sees the one in progress.
func (m *machine) show(t *rapid.T, b *modelBrowser, p *modelPerson, u identity.User) (shown bool) {
	e, err := m.BeginTOTP(m.ctx, b.Browser, u)
	if err != nil {
		return false
	}
	if p.secret != "" {
		t.Fatal("an enrolment began beside an active factor")
	}
	p.pending, p.pendingIn = e.Secret, b
	return true
}

func (m *machine) activated(t *rapid.T, p *modelPerson, code string) {
	step, ok := identity.CheckCode(p.pending, code, m.clock.Now())
	if p.secret != "" || p.pending == "" || !ok {
		t.Fatalf("the code %s enrolled %+v", code, p)
	}
	p.secret, p.pending, p.step, p.needsLink, p.link = p.pending, "", step, false, ""
}

func (m *machine) doConfirm(t *rapid.T) {
	b, _ := m.pick(t)
	v, err := m.Visitor(m.ctx, b.Session)
	if err != nil {
		return
	}
	p := m.people[b.session]
	text, right := m.password(t)
	code := m.code(t, p.secret, 1-b.session)
	secret, err := m.Confirm(m.ctx, b.Browser, v, text, code)
	if err != nil {
		return
	}
	acr := b.acr
	if m.hasFactor(b.session) {
		right, acr = m.counts(p, p.secret, code), stronger(b.acr, identity.ACRTwoFactors)
	}
	if !right {
		t.Fatal("Confirm took a wrong factor")
	}
	m.reached["confirm"]++
	b.begin(secret, b.session, acr)
}

func (m *machine) doRemove(t *rapid.T) {
	b, _ := m.pick(t)
	v, err := m.Visitor(m.ctx, b.Session)
	if err != nil {
		return
	}
	p := m.people[b.session]
	code := m.code(t, p.secret, 1-b.session)
	secret, err := m.DisableTOTP(m.ctx, b.Browser, v, "", code)
	if err != nil {
		return
	}
	if !m.counts(p, p.secret, code) {
		t.Fatal("a wrong code removed the factor")
	}
	m.reached["remove"]++
	p.secret, p.pending = "", ""
	m.forgetCodes(b.session)
	b.begin(secret, b.session, stronger(b.acr, identity.ACRTwoFactors))
}

// doIntervene is what an administrator does now and then.
func (m *machine) doIntervene(t *rapid.T) {
	for who, p := range m.people {
		if !p.enabled { // else little else would happen
			m.toggle(t, who)
			return
		}
	}
	switch rapid.SampledFrom([]string{"sleeps", "sleeps", "switches", "switches", "resets"}).Draw(t, "administrator") {
	case "resets":
		m.doReset(t)
	case "switches":
		_, who := m.pick(t)
		m.toggle(t, who)
	}
}

func (m *machine) doReset(t *rapid.T) {
	_, who := m.pick(t)
	link, err := m.ResetMFA(m.ctx, m.again(m.people[who].user))
	if err != nil {
		t.Fatalf("ResetMFA: %v", err)
	}
	p := m.people[who]
	p.secret, p.pending, p.needsLink, p.link = "", "", true, link.Token
	for _, k := range m.keysOf(who) {
		k.gone = true
	}
	m.forgetCodes(who)
	m.out(who)
}

func (m *machine) doUseLink(t *rapid.T) {
	b, who := m.pick(t)
	if m.people[who].link == "" && m.people[1-who].link != "" {
		who = 1 - who // else little comes of it
	}
	p := m.people[who]
	text, right := m.password(t)
	link := p.link
	if link == "" {
		link = identity.NewSecret()
	}
	if err := m.UseFactorLink(m.ctx, b.Browser, link, text); err != nil {
		return
	}
	if !right || p.link == "" || !p.enabled || m.hasFactor(who) {
		t.Fatalf("the link worked for %+v, right password %v", p, right)
	}
	m.reached["use link"]++
	p.link = ""
	b.half, b.asked, b.mayEnrol = who, false, true
	if rapid.Bool().Draw(t, "enrol at once") {
		m.enrolAtSignIn(t, b)
	}
}

// toggle disables a person or enables them.
func (m *machine) toggle(t *rapid.T, who int) {
	p := m.people[who]
	if err := m.SetDisabled(m.ctx, p.user, p.enabled); err != nil {
		t.Fatalf("SetDisabled: %v", err)
	}
	if p.enabled = !p.enabled; !p.enabled {
		p.link = ""
		m.out(who)
	}
}

// out is the end of all that a person has in progress.
func (m *machine) out(who int) {
	for _, b := range m.browsers {
		if b.half == who {
			b.half = -1
		}
		if b.session == who {
			b.session = -1
		}
	}
}

func (m *machine) doSignOut(t *rapid.T) {
	b, _ := m.pick(t)
	if err := m.SignOut(m.ctx, b.Session); err != nil {
		t.Fatalf("SignOut: %v", err)
	}
	if b.session >= 0 {
		m.reached["sign out"]++
	}
	b.session = -1
}

func (m *machine) doWait(t *rapid.T) {
	m.clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 30, 30, 60, 60, 60, 300, 900}).Draw(t, "seconds")) * time.Second)
}

// check holds after every step.
func (m *machine) check(t *rapid.T) {
	for i, b := range m.browsers {
		for _, secret := range b.old {
			if _, err := m.Visitor(m.ctx, secret); !errors.Is(err, identity.ErrNoSession) {
				t.Fatalf("browser %d: a secret from before opens a session: %v", i, err)
			}
		}
		v, err := m.Visitor(m.ctx, b.Session)
		if errors.Is(err, identity.ErrNoSession) {
			continue // perhaps too old; never wrong
		}
		if err != nil {
			t.Fatalf("Visitor: %v", err)
		}
		if b.session < 0 {
			t.Fatalf("browser %d has a session of %s, acr %s, and should have none", i, v.User.Username, v.Session.ACR)
		}
		p := m.people[b.session]
		if v.User.Sub != p.user.Sub || !p.enabled || v.User.Disabled || v.Session.ACR != b.acr {
			t.Fatalf("browser %d has a session of %s, acr %s; it proved %s, acr %s, enabled %v", i, v.User.Username, v.Session.ACR, p.user.Username, b.acr, p.enabled)
		}
	}
}
