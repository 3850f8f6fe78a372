package identity_test

import (
	"errors"
	"slices"

	"pgregory.net/rapid"

	"peerage/identity"
	"peerage/identity/passkeytest"
	"peerage/store"
)

// modelKey is a passkey that somebody once added.
type modelKey struct {
	*passkeytest.Key
	who  int
	gone bool
}

// keysOf are the passkeys that count for a person.
func (m *machine) keysOf(who int) (list []*modelKey) {
	for _, k := range m.keys {
		if k.who == who && !k.gone {
			list = append(list, k)
		}
	}
	return list
}

// hasFactor tells whether the password alone must open nothing.
func (m *machine) hasFactor(who int) bool {
	return m.people[who].secret != "" || len(m.keysOf(who)) > 0
}

// asked tells whether a half-done sign-in waits for a second factor: for one
// that it asked for, or a passkey that came since.
func (m *machine) asked(b *modelBrowser) bool { return b.asked || len(m.keysOf(b.half)) > 0 }

// forgetCodes is what the end of the last second factor does.
func (m *machine) forgetCodes(who int) {
	if p := m.people[who]; !m.hasFactor(who) {
		p.spent, p.codes = append(p.spent, p.codes...), nil
	}
}

// key draws a passkey: mostly one that counts for that person, but also one
// that was removed or is the other's. Mostly it verifies who holds it.
func (m *machine) key(t *rapid.T, who int) *modelKey {
	from := m.keys
	if own := m.keysOf(who); len(own) > 0 && rapid.SampledFrom([]bool{true, true, true, false}).Draw(t, "own passkey") {
		from = own
	}
	if len(from) == 0 {
		return nil
	}
	k := rapid.SampledFrom(from).Draw(t, "passkey")
	k.Unverified = rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "touch alone")
	return k
}

// use answers a challenge and tells whether it is the right one: of this
// browser, for this use.
func (m *machine) use(t *rapid.T, b *modelBrowser, use identity.PasskeyUse, u *identity.User, k *modelKey) (answer string, right bool) {
	at, right := b.Browser, true
	switch rapid.SampledFrom([]string{"right", "right", "right", "right", "elsewhere", "other use"}).Draw(t, "challenge") {
	case "elsewhere":
		at, right = browser(), false
	case "other use":
		if use, right = identity.PasskeyConfirm, use == identity.PasskeyConfirm; u == nil {
			u = &m.people[k.who].user
		}
	}
	shown, err := m.BeginPasskey(m.ctx, at, use, u, false)
	if err != nil {
		if right && !errors.Is(err, identity.ErrNoPasskey) {
			t.Fatalf("BeginPasskey: %v", err)
		}
		return "", false
	}
	return k.Use(m.t, shown), right
}

// class is what a passkey makes of a session that has proved a password.
func (k *modelKey) class() string {
	if k.Unverified {
		return identity.ACRTwoFactors
	}
	return identity.ACRPasskey
}

func (m *machine) doPasskeySignIn(t *rapid.T) {
	b, who := m.pick(t)
	k := m.key(t, who)
	if k == nil {
		return
	}
	answer, right := m.use(t, b, identity.PasskeySignIn, nil, k)
	secret, err := m.SignInPasskey(m.ctx, b.Browser, answer)
	p := m.people[k.who]
	right = right && !k.gone && !k.Unverified && p.enabled
	if right != (err == nil) {
		t.Fatalf("a passkey that should sign in (%v) gives %v", right, err)
	}
	if err == nil {
		m.reached["sign in by passkey"]++
		b.begin(secret, k.who, identity.ACRPasskey)
	}
}

func (m *machine) doPasskeyAnswer(t *rapid.T) {
	b := m.halfDone(t)
	if b == nil {
		return
	}
	k := m.key(t, b.half)
	if k == nil {
		return
	}
	answer, right := m.use(t, b, identity.PasskeyAnswer, &m.people[b.half].user, k)
	secret, err := m.AnswerPasskey(m.ctx, b.Browser, answer)
	if err != nil {
		return
	}
	if !right || k.gone || k.who != b.half || !m.asked(b) || !m.people[b.half].enabled {
		t.Fatalf("the passkey %+v, right challenge %v, made a session of %+v", k, right, b)
	}
	m.reached["answer by passkey"]++
	b.begin(secret, b.half, k.class())
	b.half = -1
}

func (m *machine) doPasskeyConfirm(t *rapid.T) {
	b, v, ok := m.someone(t)
	if !ok {
		return
	}
	k := m.key(t, b.session)
	if k == nil {
		return
	}
	answer, right := m.use(t, b, identity.PasskeyConfirm, &v.User, k)
	secret, err := m.ConfirmPasskey(m.ctx, b.Browser, v, answer)
	if err != nil {
		return
	}
	if !right || k.gone || k.who != b.session {
		t.Fatalf("the passkey %+v, right challenge %v, confirmed %+v", k, right, b)
	}
	m.reached["confirm by passkey"]++
	b.begin(secret, b.session, stronger(b.acr, k.class()))
}

func (m *machine) doPasskeyAdd(t *rapid.T) {
	b, v, ok := m.someone(t)
	if !ok || len(m.keysOf(b.session)) > 3 {
		return
	}
	at, right := b.Browser, rapid.SampledFrom([]bool{true, true, true, false}).Draw(t, "own challenge")
	if !right {
		at = browser()
	}
	shown, err := m.BeginAddPasskey(m.ctx, at, v.User)
	if err != nil {
		return
	}
	key, answer := passkeytest.Create(m.t, shown, origin)
	secret, err := m.AddPasskey(m.ctx, b.Browser, v, "key", answer)
	if right != (err == nil) || m.people[b.session].needsLink {
		t.Fatalf("adding a passkey (own challenge %v) to %+v gives %v", right, m.people[b.session], err)
	}
	if err == nil {
		m.reached["add a passkey"]++
		m.keys = append(m.keys, &modelKey{Key: key, who: b.session})
		b.begin(secret, b.session, stronger(b.acr, identity.ACRTwoFactors))
	}
}

func (m *machine) doPasskeyRemove(t *rapid.T) {
	b, v, ok := m.someone(t)
	if !ok {
		return
	}
	k := m.key(t, b.session)
	if k == nil {
		return
	}
	own := k.who == b.session && !k.gone
	err := m.RemovePasskey(m.ctx, v.User, identity.PasskeyID(k.ID))
	if own != (err == nil) || !own && !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("removing %+v (own %v) gives %v", k, own, err)
	}
	if own {
		m.reached["remove a passkey"]++
		k.gone = true
		m.forgetCodes(b.session)
	}
}

func (m *machine) doMakeCodes(t *rapid.T) {
	b, v, ok := m.someone(t)
	if !ok {
		return
	}
	codes, err := m.CreateRecoveryCodes(m.ctx, v)
	if m.hasFactor(b.session) != (err == nil) {
		t.Fatalf("recovery codes of %+v: %v", m.people[b.session], err)
	}
	if err == nil {
		m.reached["make codes"]++
		p := m.people[b.session]
		p.spent, p.codes = append(p.spent, p.codes...), codes
	}
}

// recoveryCode draws a code: one that counts, one that was used or replaced,
// one of the other person, or none at all.
func (m *machine) recoveryCode(t *rapid.T, who int) string {
	p, code := m.people[who], "0000-0000-0000"
	from := map[string][]string{"right": p.codes, "spent": p.spent, "other": m.people[1-who].codes}[rapid.SampledFrom([]string{"right", "right", "right", "spent", "spent", "other", "none"}).Draw(t, "recovery code")]
	if len(from) > 0 {
		code = rapid.SampledFrom(from).Draw(t, "which")
	}
	return code
}

// spend tells whether a recovery code counts, and uses it up.
func (p *modelPerson) spend(code string) bool {
	i := slices.Index(p.codes, code)
	if i < 0 {
		return false
	}
	p.codes, p.spent = slices.Delete(slices.Clone(p.codes), i, i+1), append(p.spent, code)
	return true
}

func (m *machine) doRecoveryAnswer(t *rapid.T) {
	b := m.halfDone(t)
	if b == nil {
		return
	}
	code := m.recoveryCode(t, b.half)
	secret, err := m.AnswerRecovery(m.ctx, b.Browser, code)
	if err != nil {
		return
	}
	if p := m.people[b.half]; !p.spend(code) || !m.asked(b) || !p.enabled {
		t.Fatalf("the recovery code %s made a session of %+v", code, b)
	}
	m.reached["answer by recovery code"]++
	b.begin(secret, b.half, identity.ACRTwoFactors)
	b.half = -1
}

func (m *machine) doRecoveryConfirm(t *rapid.T) {
	b, v, ok := m.someone(t)
	if !ok {
		return
	}
	code := m.recoveryCode(t, b.session)
	confirm := func() (string, error) { return m.ConfirmRecovery(m.ctx, b.Browser, v, code) }
	if rapid.Bool().Draw(t, "in the field of the code") {
		confirm = func() (string, error) { return m.Confirm(m.ctx, b.Browser, v, password, code) }
	}
	secret, err := confirm()
	if err != nil {
		return
	}
	acr := stronger(b.acr, identity.ACRTwoFactors)
	if !m.hasFactor(b.session) {
		acr = b.acr // the password counted
	} else if !m.people[b.session].spend(code) {
		t.Fatalf("the recovery code %s confirmed %+v", code, b)
	}
	m.reached["confirm by recovery code"]++
	b.begin(secret, b.session, acr)
}

// doComeBack is the usual way in: a password, and at once a second factor.
func (m *machine) doComeBack(t *rapid.T) {
	m.doSignIn(t)
	switch rapid.SampledFrom([]string{"app", "passkey", "recovery code"}).Draw(t, "second factor") {
	case "app":
		m.doAnswer(t)
	case "passkey":
		m.doPasskeyAnswer(t)
	case "recovery code":
		m.doRecoveryAnswer(t)
	}
}

// halfDone draws a browser, mostly one with a half-done sign-in; nil without any.
func (m *machine) halfDone(t *rapid.T) *modelBrowser {
	b, _ := m.pick(t)
	if b.half < 0 {
		b = m.browsers[0]
	}
	if b.half < 0 {
		b = m.browsers[1]
	}
	if b.half < 0 {
		return nil
	}
	return b
}

// someone draws a browser in which somebody is signed in.
func (m *machine) someone(t *rapid.T) (*modelBrowser, identity.Visitor, bool) {
	b, _ := m.pick(t)
	v, err := m.Visitor(m.ctx, b.Session)
	return b, v, err == nil
}

// stronger is the class of a session that has proved both.
func stronger(a, b string) string {
	ranks := []string{identity.ACROneFactor, identity.ACRTwoFactors, identity.ACRPasskey}
	return ranks[max(slices.Index(ranks, a), slices.Index(ranks, b))]
}
