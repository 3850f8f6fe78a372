package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"peerage/store"
	"peerage/store/storetest"
)

// TestCodesAndRotationFollowTheModel does random things to codes, tokens,
// sessions and people while the clock moves on in jumps, and compares every
// verdict of the store with that of a model that fits on a page.
func TestCodesAndRotationFollowTheModel(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines() {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, engine)
			rapid.Check(t, func(rt *rapid.T) {
				m := newModel(rt, w)
				rt.Repeat(map[string]func(*rapid.T){
					"sign in":       m.signIn,
					"issue":         m.issue,
					"redeem":        m.redeem,
					"redeem again":  m.redeem,
					"burn":          m.burn,
					"rotate":        m.rotate,
					"rotate latest": m.rotateLatest,
					"rotate again":  m.rotate,
					"revoke":        m.revoke,
					"end session":   m.endSession,
					"disable":       m.disable,
					"clean":         m.clean,
					"wait":          m.wait,
					"":              m.compare,
				})
			})
		})
	}
}

// model is what the store must answer. Its people and clients are its own;
// only the store and the clock outlive a run.
type model struct {
	w        world
	ctx      context.Context
	people   []*modelPerson
	clients  []string
	sessions []*modelSession
	codes    []*modelCode
	families map[string]*modelFamily
	access   []*modelAccess
	refresh  []*modelRefresh
}

type (
	modelPerson  struct{ sub string }
	modelSession struct {
		store.Session
		secret []byte
		ended  bool
	}
	modelCode struct {
		issuedCode
		expires    time.Time
		used, gone bool
	}
	modelFamily struct {
		clientID, sub, sessionID string
		offline, revoked         bool
		expires                  time.Time
	}
	modelAccess struct {
		hash    []byte
		family  *modelFamily
		expires time.Time
	}
	modelRefresh struct {
		hash           []byte
		family         *modelFamily
		expires, spent time.Time
		scope, answer  string // what it answered while its grace lasts
		predecessor    *modelRefresh
		gone           bool
	}
)

// A family of the model ends before the latest of its tokens would.
const modelFamilyLifetime = 40 * 24 * time.Hour

func newModel(t *rapid.T, w world) *model {
	m := &model{w: w, ctx: context.Background(), families: map[string]*modelFamily{}, clients: []string{w.name("client"), w.name("client")}}
	for range 2 {
		name := w.name("person")
		m.people = append(m.people, &modelPerson{sub: name})
		m.expect(t, w.CreateUser(m.ctx, store.User{Sub: name, Username: name}, "", nil), nil)
	}
	return m
}

func (m *model) expect(t *rapid.T, got, expected error) {
	t.Helper()
	if got != expected {
		t.Fatalf("the store says %v, the model %v", got, expected)
	}
}

func (m *model) now() time.Time { return m.w.clock.Now() }

func pick[T any](t *rapid.T, list []T, label string) T {
	if len(list) == 0 {
		t.Skip("none yet")
	}
	return rapid.SampledFrom(list).Draw(t, label)
}

func (m *model) signIn(t *rapid.T) {
	name := m.w.name("session")
	s := &modelSession{secret: hash(name), Session: store.Session{
		ID: name, Sub: pick(t, m.people, "person").sub, AuthTime: m.now(), FactorAt: m.now(), ExpiresAt: m.now().Add(24 * time.Hour),
	}}
	m.expect(t, m.w.CreateSession(m.ctx, s.Session, s.secret, nil), nil)
	m.sessions = append(m.sessions, s)
}

func (m *model) issue(t *rapid.T) {
	s, client, name := pick(t, m.sessions, "session"), pick(t, m.clients, "client"), m.w.name("code")
	_, err := m.w.CreateRequest(m.ctx, store.Request{ID: name, ClientID: client, BrowserHash: hash(name)}, time.Minute)
	m.expect(t, err, nil)
	c := &modelCode{expires: m.now().Add(codeLifetime), issuedCode: issuedCode{Code: store.Code{
		Hash: hash(name), FamilyID: name, ClientID: client, Sub: s.Sub, SessionID: s.ID, Grant: "{}",
	}, sessionSecret: s.secret}}
	err = m.w.IssueCode(m.ctx, name, hash(name), c.Code, codeLifetime)
	if s.ended || !s.ExpiresAt.After(m.now()) {
		m.expect(t, err, store.ErrRevoked)
		return
	}
	m.expect(t, err, nil)
	m.codes = append(m.codes, c)
}

func (m *model) redeem(t *rapid.T) {
	c, offline, name := pick(t, m.codes, "code"), rapid.Bool().Draw(t, "offline"), m.w.name("tokens")
	sent := c.issuedCode
	sent.ClientID = pick(t, append(m.clients, c.ClientID, c.ClientID), "client")
	issue := m.w.tokens(name)
	err := m.w.RedeemCode(m.ctx, sent.Hash, sent.ClientID, offline, m.now().Add(modelFamilyLifetime), issue)
	switch {
	case c.gone:
		m.expect(t, err, store.ErrNotFound)
	case c.used:
		m.expect(t, err, store.ErrReplayed)
		if f := m.families[c.FamilyID]; f != nil {
			f.revoked = true
		}
	case sent.ClientID != c.ClientID || !c.expires.After(m.now()):
		m.expect(t, err, store.ErrNotFound)
	case !offline && m.session(c.SessionID).ended:
		m.expect(t, err, store.ErrRevoked)
	default:
		m.expect(t, err, nil)
		c.used = true
		f := &modelFamily{clientID: c.ClientID, sub: c.Sub, sessionID: c.SessionID, offline: offline, expires: m.now().Add(modelFamilyLifetime)}
		m.families[c.FamilyID] = f
		m.store(f, issue, nil)
	}
}

func (m *model) session(id string) *modelSession {
	for _, s := range m.sessions {
		if s.ID == id {
			return s
		}
	}
	panic(fmt.Sprintf("no session %s", id))
}

func (m *model) store(f *modelFamily, issue store.Issue, predecessor *modelRefresh) {
	m.access = append(m.access, &modelAccess{issue.AccessHash, f, issue.AccessExpires})
	m.refresh = append(m.refresh, &modelRefresh{hash: issue.RefreshHash, family: f, expires: issue.RefreshExpires, predecessor: predecessor})
}

func (m *model) burn(t *rapid.T) {
	c := pick(t, m.codes, "code")
	m.expect(t, m.w.BurnCode(m.ctx, c.Hash), nil)
	c.used = true
}

func (m *model) rotate(t *rapid.T) { m.rotateToken(t, pick(t, m.refresh, "token")) }

func (m *model) rotateLatest(t *rapid.T) {
	pick(t, m.refresh, "any token")
	m.rotateToken(t, m.refresh[len(m.refresh)-1])
}

func (m *model) rotateToken(t *rapid.T, token *modelRefresh) {
	f, name := token.family, m.w.name("tokens")
	r := m.w.rotation(pick(t, append(m.clients, f.clientID, f.clientID, f.clientID), "client"), name)
	r.Scope = rapid.SampledFrom([]string{"", "", "", "openid"}).Draw(t, "scope")
	answer, err := m.w.RotateRefresh(m.ctx, token.hash, r)
	expected := ""
	switch {
	case token.gone || r.ClientID != f.clientID:
		m.expect(t, err, store.ErrNotFound)
	case f.revoked || !f.expires.After(m.now()):
		m.expect(t, err, store.ErrRevoked)
	case !token.spent.IsZero() && token.answer != "" && token.scope == r.Scope && m.now().Sub(token.spent) < grace:
		m.expect(t, err, nil)
		expected = token.answer
	case !token.spent.IsZero():
		m.expect(t, err, store.ErrReused)
		f.revoked = true
	case !token.expires.After(m.now()):
		m.expect(t, err, store.ErrNotFound)
	default:
		m.expect(t, err, nil)
		token.spent, token.scope, token.answer = m.now(), r.Scope, string(r.Answer)
		if token.predecessor != nil {
			token.predecessor.answer = ""
		}
		m.store(f, r.Issue, token)
	}
	if string(answer) != expected {
		t.Fatalf("the store answers %q, the model %q", answer, expected)
	}
}

func (m *model) revoke(t *rapid.T) {
	c := pick(t, m.codes, "code")
	m.expect(t, m.w.RevokeFamily(m.ctx, c.FamilyID), nil)
	if f := m.families[c.FamilyID]; f != nil {
		f.revoked = true
	}
}

func (m *model) endSession(t *rapid.T) {
	s := pick(t, m.sessions, "session")
	_, err := m.w.EndSession(m.ctx, s.secret)
	if s.ended {
		m.expect(t, err, store.ErrNotFound)
		return
	}
	m.expect(t, err, nil)
	m.ended(s)
}

func (m *model) ended(s *modelSession) {
	s.ended = true
	for _, f := range m.families {
		if f.sessionID == s.ID && !f.offline {
			f.revoked = true
		}
	}
}

// disable disables a person and enables them again; nothing comes back.
func (m *model) disable(t *rapid.T) {
	p := pick(t, m.people, "person")
	m.expect(t, m.w.SetDisabled(m.ctx, p.sub, true), nil)
	m.expect(t, m.w.SetDisabled(m.ctx, p.sub, false), nil)
	for _, s := range m.sessions {
		s.ended = s.ended || s.Sub == p.sub
	}
	for _, c := range m.codes {
		c.gone = c.gone || c.Sub == p.sub && !c.used
	}
	for _, f := range m.families {
		f.revoked = f.revoked || f.sub == p.sub
	}
}

// clean forgets what nobody can use, which must not change any verdict but
// that on tokens and codes which are long over.
func (m *model) clean(t *rapid.T) {
	_, _, err := m.w.DeleteExpired(m.ctx, 1_000_000, 1000*time.Hour)
	m.expect(t, err, nil)
	for _, s := range m.sessions {
		if !s.ended && !s.ExpiresAt.After(m.now()) {
			m.ended(s)
		}
	}
	for _, c := range m.codes {
		c.gone = c.gone || !c.expires.Add(24*time.Hour).After(m.now())
	}
	for _, r := range m.refresh {
		r.gone = r.gone || !r.expires.After(m.now()) || !r.family.expires.Add(24*time.Hour).After(m.now())
	}
}

func (m *model) wait(t *rapid.T) {
	m.w.clock.Advance(rapid.SampledFrom([]time.Duration{
		time.Second, 10 * time.Second, grace - time.Microsecond, grace, codeLifetime, accessLifetime, 24 * time.Hour, 25 * 24 * time.Hour,
	}).Draw(t, "time"))
}

// compare looks at everything that could be alive.
func (m *model) compare(t *rapid.T) {
	for _, a := range m.access {
		_, err := m.w.AccessToken(m.ctx, a.hash)
		alive := !a.family.revoked && a.expires.After(m.now()) && a.family.expires.After(m.now())
		if alive != (err == nil) || err != nil && err != store.ErrNotFound {
			t.Fatalf("access token: the store says %v, the model alive=%v", err, alive)
		}
	}
	for _, s := range m.sessions {
		alive, err := m.w.SessionAlive(m.ctx, s.ID)
		m.expect(t, err, nil)
		if expected := !s.ended && s.ExpiresAt.After(m.now()); alive != expected {
			t.Fatalf("session: the store says alive=%v, the model %v", alive, expected)
		}
	}
}
