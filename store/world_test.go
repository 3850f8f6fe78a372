package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peerage/store"
	"peerage/store/storetest"
)

// world is a store with a clock of its own and what tests put into it.
type world struct {
	*store.Store
	clock   *storetest.Clock
	engine  storetest.Engine
	address string
	count   *atomic.Int64
}

var beginning = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// onEveryEngine runs a test on each engine of the conformance suite.
func onEveryEngine(t *testing.T, test func(t *testing.T, w world)) {
	t.Parallel()
	for _, engine := range storetest.Engines() {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, engine))
		})
	}
}

func newWorld(t testing.TB, engine storetest.Engine) world {
	w := world{clock: storetest.NewClock(beginning), engine: engine, address: engine.Fresh(t), count: new(atomic.Int64)}
	w.Store = w.replica(t)
	return w
}

// replica opens the same database once more, as another process would.
func (w world) replica(t testing.TB, options ...storetest.Option) *store.Store {
	t.Helper()
	options = append([]storetest.Option{storetest.WithClock(w.clock), storetest.WithDatabase(w.address)}, options...)
	return storetest.OpenOn(t, w.engine, options...)
}

func (w world) name(prefix string) string { return fmt.Sprintf("%s-%d", prefix, w.count.Add(1)) }

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// want fails unless the error is the one that the operation documents.
func want(t testing.TB, got, expected error) {
	t.Helper()
	if !errors.Is(got, expected) {
		t.Fatalf("got error %v, want %v", got, expected)
	}
}

// together runs f in n goroutines that begin at the same moment.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	all.Wait()
}

// rows counts by a query of one number.
func (w world) rows(t testing.TB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := w.Writer().QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// person creates an enabled local person.
func (w world) person(t testing.TB, groups ...string) store.User {
	t.Helper()
	name := w.name("person")
	u := store.User{Sub: "sub-" + name, Origin: "local", Username: name, Name: "Name of " + name, Email: name + "@example.net"}
	want(t, w.CreateUser(t.Context(), u, "", groups), nil)
	return u
}

const idle = 8 * time.Hour

// signedIn gives a person a session and the hash of its secret.
func (w world) signedIn(t testing.TB, sub string) (store.Session, []byte) {
	t.Helper()
	id := w.name("session")
	s := store.Session{
		ID: id, Sub: sub, AuthTime: w.clock.Now(), FactorAt: w.clock.Now(), ACR: "urn:peerage:acr:password", AMR: []string{"pwd"},
		IP: "192.0.2.1", UserAgent: "browser", ExpiresAt: w.clock.Now().Add(24 * time.Hour),
	}
	secret := hash(id)
	want(t, w.CreateSession(t.Context(), s, secret, nil), nil)
	return s, secret
}

// request stores an authorization in flight that a browser holds.
func (w world) request(t testing.TB, clientID string) (id string, browser []byte) {
	t.Helper()
	id = w.name("request")
	browser = hash("browser of " + id)
	_, err := w.CreateRequest(t.Context(), store.Request{ID: id, ClientID: clientID, Parameters: "{}", BrowserHash: browser}, 10*time.Minute)
	want(t, err, nil)
	return id, browser
}

// issuedCode is a code that waits to be redeemed.
type issuedCode struct {
	store.Code
	sessionSecret []byte
}

const codeLifetime = time.Minute

func (w world) issuedTo(t testing.TB, sub, clientID string) issuedCode {
	t.Helper()
	session, secret := w.signedIn(t, sub)
	id, browser := w.request(t, clientID)
	name := w.name("code")
	code := store.Code{
		Hash: hash(name), FamilyID: "family of " + name, ClientID: clientID, Sub: sub, SessionID: session.ID,
		RedirectURI: "https://app.example.net/cb", CodeChallenge: "challenge", Grant: `{"scopes":["openid"]}`,
	}
	want(t, w.IssueCode(t.Context(), id, browser, code, codeLifetime), nil)
	return issuedCode{code, secret}
}

func (w world) issued(t testing.TB) issuedCode {
	t.Helper()
	return w.issuedTo(t, w.person(t).Sub, w.name("client"))
}

const (
	accessLifetime  = 15 * time.Minute
	refreshLifetime = 30 * 24 * time.Hour
	grace           = 30 * time.Second
)

// tokens are the hashes that a grant stores under that name.
func (w world) tokens(name string) store.Issue {
	now := w.clock.Now()
	return store.Issue{
		AccessHash: hash("access " + name), AccessExpires: now.Add(accessLifetime), Scopes: []string{"openid", "profile"},
		RefreshHash: hash("refresh " + name), RefreshExpires: now.Add(refreshLifetime),
	}
}

func (w world) redeem(ctx context.Context, c issuedCode, name string, offline bool) error {
	return w.RedeemCode(ctx, c.Hash, c.ClientID, offline, w.clock.Now().Add(refreshLifetime), w.tokens(name))
}

// granted is a family with its first tokens, called by name.
type granted struct {
	issuedCode
	name string
}

func (w world) granted(t testing.TB, offline bool) granted {
	t.Helper()
	g := granted{w.issued(t), w.name("tokens")}
	want(t, w.redeem(t.Context(), g.issuedCode, g.name, offline), nil)
	return g
}

func (g granted) access() []byte  { return hash("access " + g.name) }
func (g granted) refresh() []byte { return hash("refresh " + g.name) }

// alive fails unless the access token of that hash is (not) live.
func (w world) alive(t testing.TB, access []byte, alive bool) {
	t.Helper()
	_, err := w.AccessToken(t.Context(), access)
	if alive {
		want(t, err, nil)
	} else {
		want(t, err, store.ErrNotFound)
	}
}

func withoutKey(o *store.Options) { o.SecretKey = nil }

// SetDisabled, DeleteUser and SignOutEverywhere are the store's, for tests that
// do not ask which sessions ended.

func (w world) SetDisabled(ctx context.Context, sub string, disabled bool) error {
	_, err := w.Store.SetDisabled(ctx, sub, disabled)
	return err
}

func (w world) DeleteUser(ctx context.Context, sub string) error {
	_, err := w.Store.DeleteUser(ctx, sub)
	return err
}

func (w world) SignOutEverywhere(ctx context.Context, sub string, consents bool) error {
	_, err := w.Store.SignOutEverywhere(ctx, sub, consents)
	return err
}
