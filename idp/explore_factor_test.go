package idp_test

import (
	"errors"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"peerage/identity"
	"peerage/identity/passkeytest"
	"peerage/portal/portaltest"
)

// modelKey is a passkey that somebody once added.
type modelKey struct {
	*passkeytest.Key
	owner *modelPerson
	gone  bool
}

// keysOf are the passkeys that count for a person.
func (m *flowModel) keysOf(p *modelPerson) (list []*modelKey) {
	for _, k := range m.keys {
		if k.owner == p && !k.gone {
			list = append(list, k)
		}
	}
	return list
}

func (m *flowModel) hasFactor(p *modelPerson) bool { return p.secret != "" || len(m.keysOf(p)) > 0 }

// half is the half-done sign-in of a browser, nil when it has none any more.
func (b *modelBrowser) half(now time.Time) *proof {
	if b.pending == nil || !now.Before(b.pending.until) {
		return nil
	}
	return b.pending
}

// asked is the half-done sign-in of a browser that waits for a second factor.
func (m *flowModel) asked(b *modelBrowser, now time.Time) *proof {
	if half := b.half(now); half != nil && (half.code || len(m.keysOf(half.person)) > 0) {
		return half
	}
	return nil
}

// accepted tells whether a page took what was given; what comes then may be a
// page with another fault.
func accepted(page *portaltest.Page) bool {
	return !slices.Contains([]string{"wrong_code", "wrong_credentials", "throttled", "invalid_request"}, page.Error)
}

// settle notes that a person gave a second factor in a browser, and tells
// whether the browser was one where that counts.
func (m *flowModel) settle(b *modelBrowser, p *modelPerson, acr string, now time.Time) bool {
	if half := m.asked(b, now); half != nil {
		if half.person != p {
			return false
		}
		b.session, b.pending = &proof{person: p, acr: acr, at: now}, nil
		return true
	}
	if b.session == nil || b.session.person != p {
		return false
	}
	b.session = &proof{person: p, acr: stronger(b.session.acr, acr), at: b.session.at}
	return true
}

// stronger is the class of a session that has proved both.
func stronger(a, b string) string {
	ranks := identity.ACRValues()
	return ranks[max(slices.Index(ranks, a), slices.Index(ranks, b))]
}

// comeBack is a password, and at once a recovery code or a passkey: one that
// counts, a spent one, or the other person's.
func (m *flowModel) comeBack(t *rapid.T) {
	b, p := m.anyBrowser(t), m.anyPerson(t)
	id := m.anyRequest(t, b)
	m.try(t, b, p, portaltest.Password, id)
	switch what := rapid.SampledFrom([]string{"code", "spent code", "passkey", "passkey"}).Draw(t, "second factor"); what {
	case "passkey":
		k := rapid.SampledFrom(m.keys).Draw(t, "whose")
		k.Unverified = false
		m.use(t, b, k, id, false, false)
	default:
		m.sendRecovery(t, b, p, what == "code", id)
	}
}

// askedBrowser is one that waits for a second factor, if any does.
func (m *flowModel) askedBrowser(t *rapid.T) *modelBrowser {
	b := m.anyBrowser(t)
	for _, other := range m.browsers {
		if m.asked(b, m.w.Clock.Now()) == nil {
			b = other
		}
	}
	return b
}

// secretOf is the secret of a browser's session, "" without one.
func (m *flowModel) secretOf(t *rapid.T, b *modelBrowser) string {
	site, err := url.Parse(m.w.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Client.Jar.Cookies(site) {
		if c.Name == "__Host-peerage" {
			return c.Value
		}
	}
	return ""
}

// agree checks that a browser's session is what was proved in it.
func (m *flowModel) agree(t *rapid.T, b *modelBrowser) {
	v, err := m.w.Directory.Visitor(m.w.t.Context(), m.secretOf(t, b))
	if errors.Is(err, identity.ErrNoSession) {
		return // perhaps too old; never wrong
	}
	if err != nil {
		t.Fatalf("reading the session of %s: %v", b.name, err)
	}
	if s := b.session; s == nil || s.person.Sub != v.User.Sub || s.acr != v.Session.ACR {
		t.Fatalf("%s has a session of %s, acr %s; it proved %+v\n%s", b.name, v.User.Username, v.Session.ACR, s, strings.Join(m.said, "\n"))
	}
}

// refused checks that what should not count did not make a session stronger:
// each that does has another secret than before.
func (m *flowModel) refused(t *rapid.T, b *modelBrowser, before string) {
	if now := m.secretOf(t, b); now != "" && now != before {
		t.Fatalf("%s got another session by what should not count\n%s", b.name, strings.Join(m.said, "\n"))
	}
}

// passkey uses a passkey, of this person or the other, that counts or was
// removed, for this browser's challenge or another's.
func (m *flowModel) passkey(t *rapid.T) {
	b := m.askedBrowser(t)
	if len(m.keys) == 0 {
		return
	}
	k := rapid.SampledFrom(m.keys).Draw(t, "passkey")
	k.Unverified = rapid.IntRange(0, 3).Draw(t, "touch alone") == 0
	m.use(t, b, k, m.anyRequest(t, b), rapid.Bool().Draw(t, "as the only factor"), rapid.IntRange(0, 4).Draw(t, "elsewhere") == 0)
}

var shownOptions = regexp.MustCompile(`data-options="([^"]+)"`)

func (m *flowModel) use(t *rapid.T, b *modelBrowser, k *modelKey, id string, first, elsewhere bool) {
	address, form := "/login/passkey?request="+url.QueryEscape(id), url.Values{}
	if first {
		address, form = address+"&first=yes", url.Values{"first": {"yes"}}
	}
	m.say("%s: passkey of %s (gone %v, touch alone %v, elsewhere %v, first %v) for %.4s", b.name, k.owner.Username, k.gone, k.Unverified, elsewhere, first, id)
	asker := b.Browser
	if elsewhere {
		asker = m.w.Browser()
		address = "/login/passkey"
	}
	shown := asker.Get(address)
	found := shownOptions.FindStringSubmatch(shown.Body)
	if found == nil {
		return
	}
	options := html.UnescapeString(found[1])
	alone := len(passkeytest.Read(m.w.t, options).Allow) == 0
	form.Set("credential", k.Use(m.w.t, options))
	now, before, counted := m.w.Clock.Now(), m.secretOf(t, b), false
	page := b.Post("/login/passkey?request="+url.QueryEscape(id), form)
	if accepted(page) && !elsewhere && !k.gone && !k.owner.disabled {
		switch {
		case alone && !k.Unverified:
			b.session, b.pending = &proof{person: k.owner, acr: identity.ACRPasskey, at: now}, nil
			m.others["sign in by passkey"]++
			counted = true
		case alone:
		case k.Unverified && m.settle(b, k.owner, identity.ACRTwoFactors, now), !k.Unverified && m.settle(b, k.owner, identity.ACRPasskey, now):
			m.others["second factor by passkey"]++
			counted = true
		}
	}
	if !counted {
		m.refused(t, b, before)
	}
	m.see(t, b, page)
	m.w.Clock.Advance(time.Second)
}

// recover gives a recovery code: of this person or the other, one that counts,
// or that was used or replaced.
func (m *flowModel) recover(t *rapid.T) {
	b, p := m.askedBrowser(t), m.anyPerson(t)
	if half := m.asked(b, m.w.Clock.Now()); half != nil && rapid.IntRange(0, 3).Draw(t, "theirs") > 0 {
		p = half.person
	}
	m.sendRecovery(t, b, p, rapid.Bool().Draw(t, "right"), m.anyRequest(t, b))
}

func (m *flowModel) sendRecovery(t *rapid.T, b *modelBrowser, owner *modelPerson, right bool, id string) {
	code := "0000-0000-0000"
	if right = right && len(owner.codes) > 0; right {
		code = owner.codes[0]
	} else if len(owner.spent) > 0 {
		code = rapid.SampledFrom(owner.spent).Draw(t, "used code")
	}
	m.say("%s: recovery code of %s (right %v) for %.4s", b.name, owner.Username, right, id)
	now, before := m.w.Clock.Now(), m.secretOf(t, b)
	page := b.Post("/login/recovery?request="+url.QueryEscape(id), url.Values{"code": {code}})
	if right && accepted(page) && !owner.disabled && m.settle(b, owner, identity.ACRTwoFactors, now) {
		owner.codes, owner.spent = owner.codes[1:], append(owner.spent, code)
		m.others["recovery code"]++
	} else {
		m.refused(t, b, before)
	}
	m.see(t, b, page)
	m.w.Clock.Advance(time.Second)
}

// changeFactors is what a person does under Account elsewhere.
func (m *flowModel) changeFactors(t *rapid.T) {
	p, ctx := m.anyPerson(t), m.w.t.Context()
	what := rapid.SampledFrom([]string{"add a passkey", "remove a passkey", "make codes"}).Draw(t, "factors")
	u, err := m.w.Directory.User(ctx, p.Sub)
	if err != nil {
		t.Fatalf("reading %s: %v", p.Username, err)
	}
	m.say("%s: %s", p.Username, what)
	keys := m.keysOf(p)
	switch {
	case what == "add a passkey" && len(keys) < 2 && !p.disabled && !p.link:
		m.addKey(t, p, u)
	case what == "remove a passkey" && len(keys) > 0:
		if err := m.w.Directory.RemovePasskey(ctx, u, identity.PasskeyID(keys[0].ID)); err != nil {
			t.Fatalf("removing a passkey of %s: %v", p.Username, err)
		}
		keys[0].gone = true
		m.forgetCodes(p)
	case what == "make codes" && m.hasFactor(p):
		m.makeCodes(t, p)
	}
}

func (m *flowModel) makeCodes(t *rapid.T, p *modelPerson) {
	u, err := m.w.Directory.User(m.w.t.Context(), p.Sub)
	if err != nil {
		t.Fatalf("reading %s: %v", p.Username, err)
	}
	codes, err := m.w.Directory.CreateRecoveryCodes(m.w.t.Context(), identity.Visitor{User: u})
	if err != nil {
		t.Fatalf("recovery codes of %s: %v", p.Username, err)
	}
	p.spent, p.codes = append(p.spent, p.codes...), codes
}

func (m *flowModel) addKey(t *rapid.T, p *modelPerson, u identity.User) {
	ctx, b := m.w.t.Context(), identity.Browser{ID: identity.NewSecret()}
	shown, err := m.w.Directory.BeginAddPasskey(ctx, b, u)
	if err != nil {
		t.Fatalf("adding a passkey of %s: %v", p.Username, err)
	}
	key, answer := passkeytest.Create(m.w.t, shown, m.w.Issuer)
	// Registered, and no session there to be made stronger.
	if _, err := m.w.Directory.AddPasskey(ctx, b, identity.Visitor{User: u}, "key", answer); !errors.Is(err, identity.ErrNoSession) {
		t.Fatalf("adding a passkey of %s: %v", p.Username, err)
	}
	m.keys = append(m.keys, &modelKey{Key: key, owner: p})
}

// forgetCodes is what the end of the last second factor does.
func (m *flowModel) forgetCodes(p *modelPerson) {
	if !m.hasFactor(p) {
		p.spent, p.codes = append(p.spent, p.codes...), nil
	}
}

// secondFactor gives what the page asks for, rightly.
func (m *flowModel) secondFactor(t *rapid.T, b *modelBrowser, p *modelPerson, page *portaltest.Page, id string) {
	if len(p.codes) > 0 && rapid.IntRange(0, 3).Draw(t, "by recovery code") == 0 {
		m.sendRecovery(t, b, p, true, id)
	} else if keys := m.keysOf(p); page.URL.Path == "/login/passkey" && len(keys) > 0 {
		keys[0].Unverified = false
		m.use(t, b, keys[0], id, false, false)
	} else {
		m.send(t, b, p, true, id)
	}
}
