package identity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/passkeytest"
	"peerage/store"
)

const origin = "https://id.example.net"

func named(c *identity.Config, _ *identity.Deps) { c.Issuer = origin + "/ix" }

// addPasskey registers a passkey in a session, whose new secret b gets.
func (w *world) addPasskey(b *identity.Browser, name string) *passkeytest.Key {
	w.t.Helper()
	v := w.visitor(*b)
	shown, err := w.BeginAddPasskey(w.ctx, *b, v.User)
	if err != nil {
		w.t.Fatalf("BeginAddPasskey: %v", err)
	}
	key, answer := passkeytest.Create(w.t, shown, origin)
	if b.Session, err = w.AddPasskey(w.ctx, *b, v, name, answer); err != nil {
		w.t.Fatalf("AddPasskey: %v", err)
	}
	return key
}

// withPasskey is a person with a passkey and nothing else, signed out again.
func (w *world) withPasskey(name string) (identity.User, *passkeytest.Key) {
	w.t.Helper()
	u := w.person(name)
	b := browser()
	w.signIn(&b, name)
	key := w.addPasskey(&b, name+"'s key")
	if err := w.SignOut(w.ctx, b.Session); err != nil {
		w.t.Fatal(err)
	}
	return w.again(u), key
}

func (w *world) ask(b identity.Browser, use identity.PasskeyUse, u *identity.User) string {
	w.t.Helper()
	shown, err := w.BeginPasskey(w.ctx, b, use, u, false)
	if err != nil {
		w.t.Fatalf("BeginPasskey: %v", err)
	}
	return shown
}

// refused tells the reason in the last event that tells of a failure.
func (w *world) refused(what string, secret string, err error, why string) {
	w.t.Helper()
	if secret != "" || !errors.Is(err, identity.ErrWrongPasskey) {
		w.t.Errorf("%s: %q, %v", what, secret, err)
	}
	w.audit.Flush()
	rows, err := w.store.Events(w.ctx, store.EventFilter{Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].Result != "failure" || !strings.Contains(rows[0].Detail, "reason="+why) {
		w.t.Errorf("%s: the event is %+v (%v), want reason=%s", what, rows, err, why)
	}
}

func TestPasskeySignsInAlone(t *testing.T) {
	w := newWorld(t, named)
	u, key := w.withPasskey("ada")
	if !u.HasSecondFactor() || u.TOTP || u.Passkeys != 1 {
		t.Fatalf("the person is %+v", u)
	}
	b := browser()
	shown := w.ask(b, identity.PasskeySignIn, nil)
	if ask := passkeytest.Read(t, shown); ask.UserVerification != "required" || len(ask.Allow) != 0 || ask.RPID != "id.example.net" {
		t.Errorf("the page asks for %+v", ask)
	}
	secret, err := w.SignInPasskey(w.ctx, b, key.Use(t, shown))
	if err != nil {
		t.Fatalf("SignInPasskey: %v", err)
	}
	b.Session = secret
	v := w.visitor(b)
	if v.User.Sub != u.Sub || v.Session.ACR != identity.ACRPasskey || !slices.Equal(v.Session.AMR, []string{"hwk", "user"}) || !w.Fresh(v) {
		t.Errorf("the session is %+v", v.Session)
	}
	// The password alone opens nothing any more, and confirms nothing.
	other := browser()
	w.half(other, "ada")
	w.clock.Advance(11 * time.Minute)
	v = w.visitor(b)
	if w.Fresh(v) {
		t.Error("still fresh after eleven minutes")
	}
	_, err = w.Confirm(w.ctx, b, v, password, "")
	wantErr(t, "confirming with the password", err, identity.ErrWrongCode)
	if proofs, err := w.Proofs(w.ctx, v.User); err != nil || proofs != (identity.Proofs{Passkey: true}) {
		t.Errorf("asks for %+v, %v", proofs, err)
	}
	_, err = w.ChangePassword(w.ctx, b, v, password, "", "another correct horse")
	wantErr(t, "another password for the password alone", err, identity.ErrNotFresh)
	if b.Session, err = w.ConfirmPasskey(w.ctx, b, v, key.Use(t, w.ask(b, identity.PasskeyConfirm, &v.User))); err != nil {
		t.Fatalf("ConfirmPasskey: %v", err)
	}
	if v = w.visitor(b); !w.Fresh(v) || v.Session.ACR != identity.ACRPasskey {
		t.Errorf("after confirming: %+v", v.Session)
	}
	wantSame(t, "events", w.events(), []string{"user_create success", "login_success success", "passkey_add success", "logout success",
		"login_success success", "mfa_challenge success", "mfa_failure failure", "mfa_success success"})
}

func TestPasskeyIsASecondFactor(t *testing.T) {
	w := newWorld(t, named)
	_, key := w.withPasskey("ada")
	for name, test := range map[string]struct {
		unverified bool
		acr        string
	}{"with a PIN": {false, identity.ACRPasskey}, "with a touch": {true, identity.ACRTwoFactors}} {
		b := browser()
		w.half(b, "ada")
		pending, user, err := w.Pending(w.ctx, b)
		if err != nil || !pending.Challenged || len(pending.Challenge) != 0 {
			t.Fatalf("%s: %+v, %v", name, pending, err)
		}
		shown := w.ask(b, identity.PasskeyAnswer, &user)
		if ask := passkeytest.Read(t, shown); ask.UserVerification != "preferred" || len(ask.Allow) != 1 || ask.Allow[0] != identity.PasskeyID(key.ID) {
			t.Errorf("%s: the page asks for %+v", name, ask)
		}
		key.Unverified = test.unverified
		if b.Session, err = w.AnswerPasskey(w.ctx, b, key.Use(t, shown)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if v := w.visitor(b); v.Session.ACR != test.acr || !slices.Equal(v.Session.AMR, []string{"pwd", "hwk", "user", "mfa"}) || !w.Fresh(v) {
			t.Errorf("%s: the session is %+v", name, v.Session)
		}
		_, err = w.AnswerPasskey(w.ctx, b, key.Use(t, w.ask(b, identity.PasskeyAnswer, &user)))
		wantErr(t, name+", once more", err, identity.ErrNoSignIn)
	}
}

// A wrong or stolen answer signs nobody in, says nothing of why, and leaves
// the reason in the audit trail (WebAuthn section 7.2).
func TestAttacksOnPasskeySignIn(t *testing.T) {
	w := newWorld(t, named)
	u, key := w.withPasskey("ada")
	_, bobs := w.withPasskey("bob")
	signIn := func(b identity.Browser, answer string) (string, error) { return w.SignInPasskey(w.ctx, b, answer) }
	attack := func(name, why string, change func(k *passkeytest.Key, b *identity.Browser) (answer string)) {
		t.Helper()
		k, b := *key, browser()
		answer := change(&k, &b)
		secret, err := signIn(b, answer)
		w.refused(name, secret, err, why)
		key.Count = max(key.Count, k.Count)
	}
	attack("rubbish", "unreadable", func(*passkeytest.Key, *identity.Browser) string { return `{"id":1}` })
	attack("nothing", "unreadable", func(*passkeytest.Key, *identity.Browser) string { return "" })
	attack("a page that imitates ours", "wrong_answer", func(k *passkeytest.Key, b *identity.Browser) string {
		k.Origin = "https://id.example.net.evil.example"
		return k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
	})
	attack("a passkey of another site", "wrong_answer", func(k *passkeytest.Key, b *identity.Browser) string {
		k.RPID = "evil.example"
		return k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
	})
	attack("without verifying the person", "wrong_answer", func(k *passkeytest.Key, b *identity.Browser) string {
		k.Unverified = true
		return k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
	})
	attack("in the name of another person", "wrong_answer", func(k *passkeytest.Key, b *identity.Browser) string {
		k.UserHandle = bobs.UserHandle
		return k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
	})
	attack("the challenge of another browser", "no_challenge", func(k *passkeytest.Key, b *identity.Browser) string {
		shown := w.ask(*b, identity.PasskeySignIn, nil)
		*b = browser()
		return k.Use(t, shown)
	})
	attack("a challenge that confirms", "no_challenge", func(k *passkeytest.Key, b *identity.Browser) string {
		return k.Use(t, w.ask(*b, identity.PasskeyConfirm, &u))
	})
	attack("a challenge that is too old", "no_challenge", func(k *passkeytest.Key, b *identity.Browser) string {
		answer := k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
		w.clock.Advance(5 * time.Minute)
		return answer
	})
	attack("a key that nobody registered", "unknown_passkey", func(k *passkeytest.Key, b *identity.Browser) string {
		k.ID = []byte("sixteen bytes ..")
		return k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
	})
	attack("the same answer twice", "no_challenge", func(k *passkeytest.Key, b *identity.Browser) string {
		answer := k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
		if _, err := signIn(*b, answer); err != nil {
			t.Fatalf("the first time: %v", err)
		}
		return answer
	})
	attack("a copy of the key that lags behind", "sign_count", func(k *passkeytest.Key, b *identity.Browser) string {
		k.Frozen = true
		return k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
	})
	if err := w.SetDisabled(w.ctx, u, true); err != nil {
		t.Fatal(err)
	}
	attack("a disabled person", "not_allowed", func(k *passkeytest.Key, b *identity.Browser) string {
		return k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
	})
	if err := w.SetDisabled(w.ctx, u, false); err != nil {
		t.Fatal(err)
	}
	// After all that the passkey itself still works.
	b := browser()
	if _, err := signIn(b, key.Use(t, w.ask(b, identity.PasskeySignIn, nil))); err != nil {
		t.Errorf("the right answer: %v", err)
	}
	if _, err := w.ResetMFA(w.ctx, w.again(u)); err != nil {
		t.Fatal(err)
	}
	attack("a passkey from before the reset", "unknown_passkey", func(k *passkeytest.Key, b *identity.Browser) string {
		return k.Use(t, w.ask(*b, identity.PasskeySignIn, nil))
	})
	w.half(browser(), "ada") // and the password leads to the link alone
	if w.again(u).HasSecondFactor() {
		t.Error("something is left after the reset")
	}
}

// Whoever knows ada's password must not complete it with a passkey of their own.
func TestAnotherPersonsPasskeyIsNoSecondFactor(t *testing.T) {
	w := newWorld(t, named)
	ada, key := w.withPasskey("ada")
	bob, bobs := w.withPasskey("bob")
	b := browser()
	w.half(b, "ada")
	for name, answer := range map[string]func() string{
		"bob's key for ada's challenge":       func() string { return bobs.Use(t, w.ask(b, identity.PasskeyAnswer, &ada)) },
		"bob's challenge in the same browser": func() string { return bobs.Use(t, w.ask(b, identity.PasskeyAnswer, &bob)) },
		"a challenge to sign in":              func() string { return key.Use(t, w.ask(b, identity.PasskeySignIn, nil)) },
	} {
		if secret, err := w.AnswerPasskey(w.ctx, b, answer()); secret != "" || !errors.Is(err, identity.ErrWrongPasskey) {
			t.Errorf("%s: %q, %v", name, secret, err)
		}
	}
	// A signed-in person does not confirm with somebody else's either.
	signedIn := browser()
	var err error
	if signedIn.Session, err = w.SignInPasskey(w.ctx, signedIn, key.Use(t, w.ask(signedIn, identity.PasskeySignIn, nil))); err != nil {
		t.Fatal(err)
	}
	v := w.visitor(signedIn)
	if _, err := w.ConfirmPasskey(w.ctx, signedIn, v, bobs.Use(t, w.ask(signedIn, identity.PasskeyConfirm, &bob))); !errors.Is(err, identity.ErrWrongPasskey) {
		t.Errorf("confirming with another's: %v", err)
	}
}

func TestRemovedPasskeyIsRefused(t *testing.T) {
	w := newWorld(t, named)
	u, key := w.withPasskey("ada")
	_, bobs := w.withPasskey("bob")
	b := browser()
	answer := key.Use(t, w.ask(b, identity.PasskeySignIn, nil))
	for name, id := range map[string]string{"bob's": identity.PasskeyID(bobs.ID), "rubbish": "*", "nobody's": "AAAA"} {
		wantErr(t, "removing "+name, w.RemovePasskey(w.ctx, u, id), store.ErrNotFound)
	}
	if err := w.RemovePasskey(w.ctx, u, identity.PasskeyID(key.ID)); err != nil {
		t.Fatal(err)
	}
	secret, err := w.SignInPasskey(w.ctx, b, answer)
	w.refused("a removed passkey", secret, err, "unknown_passkey")
	if u = w.again(u); u.HasSecondFactor() {
		t.Error("it still counts as second factor")
	}
	w.signIn(&b, "ada") // the password alone again
}

func TestRegistrationIsCheckedToo(t *testing.T) {
	w := newWorld(t, named)
	w.person("ada")
	w.person("bob")
	b, other := browser(), browser()
	w.signIn(&b, "ada")
	w.signIn(&other, "bob")
	v := w.visitor(b)
	begin := func() string {
		t.Helper()
		shown, err := w.BeginAddPasskey(w.ctx, b, v.User)
		if err != nil {
			t.Fatalf("BeginAddPasskey: %v", err)
		}
		return shown
	}
	_, imitated := passkeytest.Create(t, begin(), "https://evil.example")
	_, err := w.AddPasskey(w.ctx, b, v, "x", imitated)
	w.refused("another origin", "", err, "wrong_answer")
	shown := begin()
	key, answer := passkeytest.Create(t, shown, origin)
	_, err = w.AddPasskey(w.ctx, other, w.visitor(other), "x", answer)
	w.refused("ada's challenge answered by bob", "", err, "no_challenge")
	if b.Session, err = w.AddPasskey(w.ctx, b, v, "  Blue\x00\u202e key  "+strings.Repeat("y", 100), answer); err != nil {
		t.Fatalf("AddPasskey: %v", err)
	}
	v = w.visitor(b)
	if v.Session.ACR != identity.ACRTwoFactors || !slices.Equal(v.Session.AMR, []string{"pwd", "hwk", "user", "mfa"}) || !w.Fresh(v) {
		t.Errorf("the session is %+v", v.Session)
	}
	list, err := w.Passkeys(w.ctx, v.User)
	if err != nil || len(list) != 1 || !strings.HasPrefix(list[0].Name, "Blue key yyy") || len(list[0].Name) != identity.MaxPasskeyName || !list[0].LastUsedAt.IsZero() {
		t.Errorf("the list is %+v, %v", list, err)
	}
	_, err = w.AddPasskey(w.ctx, b, v, "x", key.Register(t, shown))
	w.refused("the same challenge twice", "", err, "no_challenge")
	bobs, err := w.BeginAddPasskey(w.ctx, other, w.visitor(other).User)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.AddPasskey(w.ctx, other, w.visitor(other), "x", key.Register(t, bobs))
	w.refused("ada's key for bob", "", err, "exists")
}

// Without a name there is no RP ID, and nothing that asks for one.
func TestPasskeysNeedAName(t *testing.T) {
	for _, issuer := range []string{"", "http://127.0.0.1:8080", "http://[::1]:8080"} {
		w := newWorld(t, func(c *identity.Config, _ *identity.Deps) { c.Issuer = issuer })
		u := w.person("ada")
		_, err := w.BeginPasskey(w.ctx, browser(), identity.PasskeySignIn, nil, true)
		wantErr(t, issuer, err, identity.ErrNoPasskey)
		_, err = w.BeginAddPasskey(w.ctx, browser(), u)
		wantErr(t, issuer, err, identity.ErrNoPasskey)
		_, err = w.SignInPasskey(w.ctx, browser(), "{}")
		wantErr(t, issuer, err, identity.ErrWrongPasskey)
		if w.PasskeysOffered() {
			t.Errorf("%q: passkeys are offered", issuer)
		}
	}
}

// Two replicas get answers of one key and its copy, with the same counter:
// one of them is refused.
func TestSignCountIsClaimedOverReplicas(t *testing.T) {
	w := newWorld(t, named)
	_, key := w.withPasskey("ada")
	replica := openWorld(t, w.store, w.clock, named)
	stolen := *key
	answers := make(chan error, 2)
	for world, k := range map[*world]*passkeytest.Key{w: key, replica: &stolen} {
		b := browser()
		answer := k.Use(t, world.ask(b, identity.PasskeySignIn, nil))
		go func() {
			_, err := world.SignInPasskey(world.ctx, b, answer)
			answers <- err
		}()
	}
	first, second := <-answers, <-answers
	if (first == nil) == (second == nil) || first != nil && !errors.Is(first, identity.ErrWrongPasskey) || second != nil && !errors.Is(second, identity.ErrWrongPasskey) {
		t.Errorf("the key and its copy: %v, %v", first, second)
	}
}
