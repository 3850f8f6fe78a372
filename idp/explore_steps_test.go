package idp_test

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"
	"pgregory.net/rapid"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// identityPasswordHash hashes the password of everybody once: it is slow.
func identityPasswordHash() (string, error) {
	passwords := identity.NewPasswordsWith(argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}, 2)
	return passwords.Hash(portaltest.Password)
}

func (m *flowModel) anyBrowser(t *rapid.T) *modelBrowser {
	return rapid.SampledFrom(m.browsers).Draw(t, "browser")
}

func (m *flowModel) anyPerson(t *rapid.T) *modelPerson {
	return rapid.SampledFrom(m.people).Draw(t, "person")
}

// anyRequest is one of the known authorizations, mostly of this browser,
// sometimes of the other, and "" for none.
func (m *flowModel) anyRequest(t *rapid.T, b *modelBrowser) string {
	ids := []string{""}
	for _, r := range m.requests {
		if r.id != "" {
			ids = append(ids, r.id)
			if r.browser == b {
				ids = append(ids, r.id, r.id)
			}
		}
	}
	return rapid.SampledFrom(ids).Draw(t, "request")
}

// newRequest draws an authorization request.
func (m *flowModel) newRequest(t *rapid.T) (*modelRequest, string) {
	r := &modelRequest{
		client:  rapid.SampledFrom([]string{"web", "kube", "trusted", "mfa", "noc"}).Draw(t, "client"),
		prompts: rapid.SampledFrom([]string{"", "", "", "none", "login", "consent", "select_account", "login consent"}).Draw(t, "prompt"),
		maxAge:  rapid.SampledFrom([]int{-1, -1, -1, 0, 30}).Draw(t, "max_age"),
		scopes:  rapid.SampledFrom([][]string{{"openid"}, {"openid", "profile"}}).Draw(t, "scope"),
		created: m.w.Clock.Now(),
	}
	pairs := []string{"prompt", r.prompts, "scope", strings.Join(r.scopes, " "), "state", "r" + strconv.Itoa(len(m.requests))}
	if r.maxAge >= 0 {
		pairs = append(pairs, "max_age", strconv.Itoa(r.maxAge))
	}
	m.requests = append(m.requests, r)
	return r, authorize(r.client, pairs...)
}

func (m *flowModel) authorize(t *rapid.T) {
	b := m.anyBrowser(t)
	r, path := m.newRequest(t)
	r.browser = b
	m.say("%s: authorize %s, prompt %q, max_age %d, as r%d", b.name, r.client, r.prompts, r.maxAge, len(m.requests)-1)
	page := b.Get(path)
	r.id = requestOf(page)
	if r.prompts == "none" && page.Left == "" {
		t.Fatalf("prompt=none shows %s %q", page.URL, page.Error)
	}
	m.see(t, b, page)
	m.w.Clock.Advance(time.Second)
}

// post begins an authorization as another site's form does; a browser follows
// at once or later.
func (m *flowModel) post(t *rapid.T) {
	b := m.anyBrowser(t)
	r, path := m.newRequest(t)
	m.say("posted authorize %s, prompt %q, as r%d", r.client, r.prompts, len(m.requests)-1)
	location := m.w.postAuthorize(path)
	if rapid.Bool().Draw(t, "later") {
		m.w.Clock.Advance(time.Second)
		m.signInRightly(t)
	}
	r.browser, r.created = b, m.w.Clock.Now()
	m.say("%s: follows", b.name)
	page := b.Get(location)
	r.id = requestOf(page)
	m.see(t, b, page)
	m.w.Clock.Advance(time.Second)
}

func (m *flowModel) signIn(t *rapid.T) {
	b := m.anyBrowser(t)
	m.try(t, b, m.anyPerson(t), rapid.SampledFrom([]string{portaltest.Password, "wrong", ""}).Draw(t, "password"), m.anyRequest(t, b))
}

func (m *flowModel) signInRightly(t *rapid.T) {
	b := m.anyBrowser(t)
	m.try(t, b, m.anyPerson(t), portaltest.Password, m.anyRequest(t, b))
}

func (m *flowModel) try(t *rapid.T, b *modelBrowser, p *modelPerson, password, id string) {
	m.say("%s: sign in as %s with %q for %.4s", b.name, p.Username, password, id)
	now := m.w.Clock.Now()
	page := b.Post("/login?request="+id, url.Values{"username": {p.Username}, "password": {password}})
	r := m.find(id)
	reached := id == "" || r != nil && r.browser == b && page.Error != "invalid_request"
	if reached && page.Error != "throttled" && page.Error != "wrong_credentials" && password == portaltest.Password && !p.disabled {
		if !m.hasFactor(p) && !p.link && !p.admin {
			b.session = &proof{person: p, acr: identity.ACROneFactor, at: now}
			b.pending = nil
		} else {
			b.pending = &proof{person: p, acr: identity.ACROneFactor, at: now, code: p.secret != "", until: now.Add(10 * time.Minute)}
			if m.hasFactor(p) {
				b.pending.until = now.Add(5 * time.Minute)
			}
			if id == "" {
				b.session = nil
			}
		}
	}
	m.see(t, b, page)
	m.w.Clock.Advance(time.Second)
}

// code sends a code: of this person or the other, right, wrong or used.
func (m *flowModel) code(t *rapid.T) {
	b := m.anyBrowser(t)
	m.send(t, b, m.anyPerson(t), rapid.IntRange(0, 3).Draw(t, "right") > 0, m.anyRequest(t, b))
}

func (m *flowModel) send(t *rapid.T, b *modelBrowser, owner *modelPerson, right bool, id string) {
	code, step := "000000", m.w.Clock.Now().Unix()/30
	right = right && owner.secret != ""
	if right {
		code = m.w.Code(owner.secret)
	}
	m.say("%s: code of %s (right %v) for %.4s", b.name, owner.Username, right, id)
	now := m.w.Clock.Now()
	page := b.Post("/login/totp?request="+id, url.Values{"code": {code}})
	asked := m.asked(b, now)
	if right && accepted(page) && step > owner.lastStep && !owner.disabled && (asked == nil || asked.code) && m.settle(b, owner, identity.ACRTwoFactors, now) {
		owner.lastStep = step
	}
	m.see(t, b, page)
	m.w.Clock.Advance(time.Second)
}

// enrol adds a second factor where one is demanded.
func (m *flowModel) enrol(t *rapid.T) {
	b := m.anyBrowser(t)
	m.add(t, b, m.anyRequest(t, b))
}

// shownSecret is the secret on the page of an enrolment.
var shownSecret = regexp.MustCompile(`<code class="block">([A-Z2-7 ]+)</code>`)

func (m *flowModel) add(t *rapid.T, b *modelBrowser, id string) {
	m.say("%s: enrol for %.4s", b.name, id)
	shown := b.Get("/login/enrol?request=" + id)
	m.see(t, b, shown)
	who := b.session
	if half := b.half(m.w.Clock.Now()); half != nil && m.asked(b, m.w.Clock.Now()) == nil {
		who = half
	}
	code, secret := "000000", ""
	if who != nil && who.person.secret == "" {
		if found := shownSecret.FindStringSubmatch(shown.Body); found != nil {
			secret = strings.ReplaceAll(found[1], " ", "")
			code = m.w.Code(secret)
		}
	}
	now := m.w.Clock.Now()
	page := b.Post("/login/enrol?request="+id, url.Values{"code": {code}})
	if who != nil && secret != "" {
		if u, err := m.w.Directory.User(m.w.t.Context(), who.person.Sub); err == nil && u.TOTP {
			p := who.person
			if p.link || p.disabled {
				t.Fatalf("%s enrolled with the password alone after a reset, or disabled", p.Username)
			}
			m.say("%s: %s has enrolled", b.name, p.Username)
			p.secret, p.lastStep = secret, now.Unix()/30
			if who == b.pending {
				b.session, b.pending = &proof{person: p, acr: identity.ACRTwoFactors, at: now}, nil
			} else {
				b.session = &proof{person: p, acr: stronger(who.acr, identity.ACRTwoFactors), at: who.at}
			}
		}
	}
	m.see(t, b, page)
	m.w.Clock.Advance(time.Second)
}

func (m *flowModel) decide(t *rapid.T) {
	b := m.anyBrowser(t)
	m.answer(t, b, m.anyRequest(t, b), rapid.SampledFrom([]string{"/login", "/consent"}).Draw(t, "page"),
		rapid.SampledFrom([]string{"allow", "deny", "continue", "other", "maybe"}).Draw(t, "decision"))
}

// walk does what each page of a request asks for, as people do.
func (m *flowModel) walk(t *rapid.T) {
	b, p := m.anyBrowser(t), m.anyPerson(t)
	id := m.anyRequest(t, b)
	for range 4 {
		page := b.Get(resumePath(id))
		m.see(t, b, page)
		switch {
		case page.Left != "" || page.Error != "":
			return
		case page.URL.Path == "/login/totp", page.URL.Path == "/login/passkey":
			m.w.Clock.Advance(31 * time.Second)
			if half := m.asked(b, m.w.Clock.Now()); half != nil {
				p = half.person
			} else if b.session != nil {
				p = b.session.person
			}
			m.secondFactor(t, b, p, page, id)
		case page.URL.Path == "/login/enrol":
			m.add(t, b, id)
		case page.URL.Path == "/login/confirm":
			return
		case slices.Contains(buttons(page), "decision=allow"):
			m.answer(t, b, id, page.URL.Path, "allow")
		case slices.Contains(buttons(page), "decision=continue"):
			m.answer(t, b, id, page.URL.Path, "continue")
		default:
			m.try(t, b, p, portaltest.Password, id)
		}
	}
}

func buttons(page *portaltest.Page) (list []string) {
	for _, form := range page.Forms {
		list = append(list, form.Buttons...)
	}
	return list
}

func (m *flowModel) answer(t *rapid.T, b *modelBrowser, id, path, decision string) {
	m.say("%s: %s on %s for %.4s", b.name, decision, path, id)
	now := m.w.Clock.Now()
	r := m.find(id)
	if r != nil && r.browser == b && b.session != nil {
		p := b.session.person
		// Which page it was asked on is the site's to know: yes counts as the
		// answer to the page that the browser would see.
		shown := b.Get(resumePath(id))
		m.see(t, b, shown)
		asked := ""
		if slices.Contains(buttons(shown), "decision="+decision) {
			asked = shown.URL.Path
		}
		switch {
		case asked == "/consent" && decision == "allow":
			r.consented = p
			p.consents[r.client] = append(slices.Clone(p.consents[r.client]), r.scopes...)
		case asked == "/login" && decision == "allow":
			r.confirmed = p
		case asked == "/login" && decision == "continue":
			r.chosen = p
		case asked == "/login" && decision == "other":
			r.otherAt = now
		}
	}
	m.see(t, b, b.Post(path+"?request="+id, url.Values{"decision": {decision}}))
	m.w.Clock.Advance(time.Second)
}

func (m *flowModel) signOut(t *rapid.T) {
	b := m.anyBrowser(t)
	m.say("%s: sign out", b.name)
	page := b.Post("/logout", url.Values{"logout": {"yes"}})
	b.session = nil
	m.see(t, b, page)
}

// jump opens any page of the flow with any request.
func (m *flowModel) jump(t *rapid.T) {
	b := m.anyBrowser(t)
	id := m.anyRequest(t, b)
	path := rapid.SampledFrom([]string{"/login", "/login/totp", "/login/passkey", "/login/recovery", "/login/enrol", "/consent", "/oauth2/authorize/resume", "/logout", "/"}).Draw(t, "path")
	m.say("%s: jump to %s for %.4s", b.name, path, id)
	m.see(t, b, b.Get(path+"?request="+id))
}

func (m *flowModel) resume(t *rapid.T) {
	b := m.anyBrowser(t)
	id := m.anyRequest(t, b)
	m.say("%s: resume %.4s", b.name, id)
	m.see(t, b, b.Get(resumePath(id)))
}

func (m *flowModel) wait(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{time.Second, 31 * time.Second, time.Minute, 6 * time.Minute}).Draw(t, "for")
	m.say("wait %v", d)
	m.w.Clock.Advance(d)
}

// gone: somebody's sessions and half-done sign-ins are over.
func (m *flowModel) gone(p *modelPerson) {
	for _, b := range m.browsers {
		if b.session != nil && b.session.person == p {
			b.session = nil
		}
		if b.pending != nil && b.pending.person == p {
			b.pending = nil
		}
	}
}

// change is what administrators, and the person elsewhere, do meanwhile.
func (m *flowModel) change(t *rapid.T) {
	p, ctx := m.anyPerson(t), m.w.t.Context()
	what := rapid.SampledFrom([]string{"disable", "enable", "reset", "group", "ungroup", "withdraw", "nothing", "nothing"}).Draw(t, "change")
	m.say("%s: %s", p.Username, what)
	var err error
	switch what {
	case "disable":
		err = m.w.Directory.SetDisabled(ctx, p.User, true)
		p.disabled = true
		m.gone(p)
	case "enable":
		err = m.w.Directory.SetDisabled(ctx, p.User, false)
		p.disabled = false
	case "reset":
		if !m.hasFactor(p) || p.disabled {
			return
		}
		_, err = m.w.Directory.ResetMFA(ctx, p.User)
		p.secret, p.link = "", true
		for _, k := range m.keysOf(p) {
			k.gone = true
		}
		m.forgetCodes(p)
		m.gone(p)
	case "group", "ungroup":
		p.noc = what == "group"
		err = m.w.Store.ChangeMembers(ctx, "noc", []string{p.Sub}, p.noc)
	case "withdraw":
		if len(p.consents["web"]) == 0 {
			return
		}
		err = m.w.Store.RevokeConsent(ctx, p.Sub, "web")
		delete(p.consents, "web")
	}
	if err != nil {
		t.Fatalf("%s of %s: %v", what, p.Username, err)
	}
}
