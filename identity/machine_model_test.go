package identity_test

import (
	"pgregory.net/rapid"

	"peerage/identity"
)

type modelPerson struct {
	user      identity.User
	enabled   bool
	needsLink bool
	secret    string // of the active factor
	pending   string
	pendingIn *modelBrowser // that was shown it
	step      int64         // the last step that was used
	link      string
	// Recovery codes that count, and those that were used or replaced.
	codes, spent []string
}

// modelBrowser holds what a browser has proved, by the number of the person.
type modelBrowser struct {
	identity.Browser
	half     int
	asked    bool // a code is asked
	mayEnrol bool
	session  int
	acr      string
	old      []string
}

var numbers = []int{0, 1}

type machine struct {
	*world
	people   [2]*modelPerson
	browsers [2]*modelBrowser
	keys     []*modelKey // of both people, removed ones too
	reached  map[string]int
}

func (m *machine) pick(t *rapid.T) (b *modelBrowser, who int) {
	return m.browsers[rapid.SampledFrom(numbers).Draw(t, "browser")], rapid.SampledFrom(numbers).Draw(t, "person")
}

// password draws a password and tells whether it is right.
func (m *machine) password(t *rapid.T) (text string, right bool) {
	if right = rapid.SampledFrom([]bool{true, true, true, false}).Draw(t, "right password"); right {
		return password, true
	}
	return "wrong horse", false
}

// code draws a code: right, used before, of the other person, or wrong.
func (m *machine) code(t *rapid.T, secret string, other int) string {
	others := m.people[other]
	kind := rapid.SampledFrom([]string{"right", "right", "right", "wrong", "other"}).Draw(t, "code")
	switch {
	case kind == "right" && secret != "":
		return m.world.code(secret)
	case kind == "other" && others.secret != "":
		return m.world.code(others.secret)
	case kind == "other" && others.pending != "":
		return m.world.code(others.pending)
	case secret != "":
		return m.wrongCode(secret)
	}
	return "123456"
}

// counts tells whether a code is right for a secret, and uses its step up.
func (m *machine) counts(p *modelPerson, secret, code string) bool {
	step, ok := identity.CheckCode(secret, code, m.clock.Now())
	if secret == "" || !ok || step <= p.step {
		return false
	}
	p.step = step
	return true
}

// begin is what a new session secret means for the model.
func (b *modelBrowser) begin(secret string, who int, acr string) {
	b.old = append(b.old, b.Session)
	b.old = b.old[max(0, len(b.old)-8):] // looking at all of them takes time
	b.Session, b.session, b.acr = secret, who, acr
}
