package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

const (
	killRounds  = 4
	killWorkers = 8
	killClients = 120
	// refreshGrace is how long a spent refresh token may repeat its answer,
	// less what a slow machine needs to notice.
	refreshGrace = 25 * time.Second
)

// load is one round of people who sign in and clients that spend what they
// get, until the server is gone. It keeps account of what was acknowledged.
type load struct {
	ctx    context.Context // carries the clients' HTTP client
	killed atomic.Bool
	// exchanged counts codes, so that the kill waits for some.
	exchanged atomic.Int64

	mu       sync.Mutex
	families []*family
	consents []agreed
	codes    []attempt // cut off while they were exchanged
	signIns  int
	cut      int // requests whose answer was lost
	faults   []error
}

// family is what came of one code that was exchanged with success.
type family struct {
	attempt
	// tokens are the refresh tokens in their order; each but the last was
	// spent and its successor received.
	tokens []string
	// spent is when the last rotation began.
	spent time.Time
	// cut says that the answer of spending the last token was lost.
	cut bool
}

// attempt is a code and what its exchange needs.
type attempt struct {
	rp             *relyingParty
	code, verifier string
}

func (a attempt) exchange(ctx context.Context) (*oauth2.Token, error) {
	return a.rp.Exchange(ctx, a.code, oauth2.VerifierOption(a.verifier))
}

// agreed is a consent whose answer was received.
type agreed struct {
	worker *killWorker
	rp     *relyingParty
}

// killWorker is a person who visits one application after the other.
type killWorker struct {
	*person
	visits int
}

// TestKill kills the server at random moments under load. What was
// acknowledged must hold after the restart: a spent code or refresh token
// stays spent, a consent stays given, the newest refresh token works.
func TestKill(t *testing.T) {
	s := newServer(t, "PEERAGE_CLIENTS="+manyClients(t))
	s.start(t)
	parties := make([]*relyingParty, killClients)
	for i := range parties {
		parties[i] = s.newRelyingParty(t, clientID(i), clientSecret(i), "RS256")
		parties[i].Endpoint.AuthStyle = oauth2.AuthStyleInHeader // x/oauth2 would try both
	}
	workers := make([]*killWorker, killWorkers)
	for i := range workers {
		name := fmt.Sprintf("person%d", i)
		s.addUser(t, name)
		workers[i] = &killWorker{person: s.newPerson(t, name)}
	}
	var exchanged, rotated, consents, signIns, cut int
	for round := range killRounds {
		l := &load{}
		l.run(t, s, workers, parties)
		for _, err := range l.faults {
			t.Errorf("round %d: %v", round, err)
		}
		s.start(t) // the store opens
		s.checkIntegrity(t)
		for _, f := range l.families {
			exchanged, rotated = exchanged+1, rotated+len(f.tokens)-1
		}
		consents, signIns, cut = consents+len(l.consents), signIns+l.signIns, cut+l.cut
		l.check(t)
	}
	t.Logf("%d sign-ins, %d consents, %d codes, %d rotations acknowledged; %d answers lost", signIns, consents, exchanged, rotated, cut)
	if signIns < 2*killWorkers || consents < 20 || exchanged < 40 || rotated < 40 || cut < killRounds {
		t.Error("the load did too little to prove anything")
	}
}

func clientID(i int) string     { return fmt.Sprintf("app-%d", i) }
func clientSecret(i int) string { return fmt.Sprintf("the secret of app-%d", i) }

func manyClients(t *testing.T) string {
	t.Helper()
	var list []map[string]any
	for i := range killClients {
		list = append(list, map[string]any{"client_id": clientID(i), "client_secret": clientSecret(i), "redirect_uris": []string{clientCallback}})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run lets everybody work, kills the server at a random moment and returns
// when all have noticed.
func (l *load) run(t *testing.T, s *server, workers []*killWorker, parties []*relyingParty) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: killWorkers}
	defer transport.CloseIdleConnections()
	l.ctx = context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: transport, Timeout: time.Minute})
	var group sync.WaitGroup
	for _, w := range workers {
		w.freshBrowser(t)
		w.browser.Transport = transport
		group.Go(func() {
			for !l.killed.Load() && l.visit(w, parties[w.visits%len(parties)]) {
				w.visits++
			}
		})
	}
	for begun := time.Now(); l.exchanged.Load() < 2*killWorkers && time.Since(begun) < 20*time.Second; {
		<-time.After(time.Millisecond)
	}
	<-time.After(rand.N(400 * time.Millisecond))
	l.killed.Store(true)
	s.kill()
	group.Wait()
}

// visit signs a person in to an application, which exchanges its code and
// refreshes twice. It ends with false when an answer was lost.
func (l *load) visit(w *killWorker, rp *relyingParty) bool {
	verifier := oauth2.GenerateVerifier()
	callback, asked, err := w.authorize(l.ctx, rp.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
	l.mu.Lock()
	if slices.Contains(asked, "sign-in") {
		l.signIns++
	}
	if slices.Contains(asked, "consent") {
		l.consents = append(l.consents, agreed{w, rp})
	}
	l.mu.Unlock()
	if err != nil {
		return l.lost(fmt.Errorf("authorizing: %w", err), func() {})
	}
	code := attempt{rp, callback.Get("code"), verifier}
	token, err := code.exchange(l.ctx)
	if err != nil {
		return l.lost(fmt.Errorf("exchanging: %w", err), func() { l.codes = append(l.codes, code) })
	}
	f := &family{attempt: code, tokens: []string{token.RefreshToken}}
	l.mu.Lock()
	l.families = append(l.families, f)
	l.mu.Unlock()
	l.exchanged.Add(1)
	for range 2 {
		f.spent = time.Now()
		if token, err = rp.refresh(l.ctx, token); err != nil {
			return l.lost(fmt.Errorf("refreshing: %w", err), func() { f.cut = true })
		}
		f.tokens = append(f.tokens, token.RefreshToken)
	}
	return true
}

// lost notes an answer that did not come. Before the kill, or with an answer
// that says no, it is a fault.
func (l *load) lost(err error, note func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var refusal *oauth2.RetrieveError
	var page *pageError
	if !l.killed.Load() || errors.As(err, &refusal) || errors.As(err, &page) {
		l.faults = append(l.faults, err)
	} else {
		l.cut++
		note()
	}
	return false
}

// check asks the server that came back what it remembers. First the tokens:
// a code that comes twice takes its tokens with it.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.ctx = t.Context()
	for _, f := range l.families {
		l.checkFamily(t, f)
	}
	for _, f := range l.families {
		if _, err := f.exchange(l.ctx); err == nil {
			t.Errorf("a code of %s that was exchanged before the kill works again", f.rp.ClientID)
		} else {
			refused(t, "a code from before the kill", err, "invalid_grant", http.StatusBadRequest)
		}
	}
	for _, code := range l.codes { // spent or not, but once
		_, first := code.exchange(l.ctx)
		if _, err := code.exchange(l.ctx); err == nil {
			t.Errorf("a code whose exchange was cut off works a second time; the first: %v", first)
		}
	}
	for _, c := range l.consents {
		c.worker.browser.Transport = nil
		_, asked, err := c.worker.authorize(l.ctx, c.rp.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
		if err != nil || slices.Contains(asked, "consent") {
			t.Errorf("%s agreed to %s before the kill and is asked %v, %v", c.worker.username, c.rp.ClientID, asked, err)
		}
	}
}

func (l *load) checkFamily(t *testing.T, f *family) {
	t.Helper()
	last := f.tokens[len(f.tokens)-1]
	if f.cut {
		l.checkCut(t, f, last)
		return
	}
	if len(f.tokens) > 1 {
		// The last rotation may repeat its answer for some seconds: the very
		// same one, never another successor.
		before := f.tokens[len(f.tokens)-2]
		if again := l.spend(t, f, before); again != "" && again != last {
			t.Errorf("a spent refresh token of %s has two successors", f.rp.ClientID)
		} else if again == "" {
			if time.Since(f.spent) < refreshGrace {
				t.Errorf("a rotation of %s that was acknowledged is not repeated", f.rp.ClientID)
			}
			return // reuse: the family is dead
		}
	}
	newest := l.spend(t, f, last)
	if newest == "" {
		t.Errorf("the newest refresh token of %s does not work", f.rp.ClientID)
		return
	}
	if len(f.tokens) == 1 {
		return
	}
	// Now its successor was used; whoever brings the first one has stolen it.
	if again := l.spend(t, f, f.tokens[0]); again != "" {
		t.Errorf("a refresh token of %s that was spent long before the kill works again", f.rp.ClientID)
	}
	if again := l.spend(t, f, newest); again != "" {
		t.Errorf("a family of %s outlives a theft", f.rp.ClientID)
	}
}

// checkCut spends a token whose rotation was cut off. Whether the server did
// it is unknown, but it has one successor.
func (l *load) checkCut(t *testing.T, f *family, token string) {
	t.Helper()
	first := l.spend(t, f, token)
	if first == "" && time.Since(f.spent) < refreshGrace {
		t.Errorf("a refresh of %s that was cut off cannot be done again", f.rp.ClientID)
	}
	if second := l.spend(t, f, token); second != "" && second != first {
		t.Errorf("a refresh of %s that was cut off has two successors", f.rp.ClientID)
	}
}

// spend returns the successor of a refresh token, "" when it is refused.
func (l *load) spend(t *testing.T, f *family, token string) string {
	t.Helper()
	next, err := f.rp.refresh(l.ctx, &oauth2.Token{RefreshToken: token})
	if err != nil {
		refused(t, "a refresh after the kill", err, "invalid_grant", http.StatusBadRequest)
		return ""
	}
	return next.RefreshToken
}
