package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"peerage/store"
	"peerage/store/storetest"
)

// blob reads one sealed value as it lies in its row.
func (w world) blob(t testing.TB, query string, args ...any) []byte {
	t.Helper()
	var b []byte
	if err := w.Writer().QueryRowContext(t.Context(), query, args...).Scan(&b); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return b
}

// everySealed puts a value into each sealed column and tells how to read it
// through a store.
func (w world) everySealed(t testing.TB, plain string) map[string]func(*store.Store) ([]byte, error) {
	t.Helper()
	ctx := t.Context()
	p, waiting := w.person(t), w.person(t)
	want(t, w.PutPendingTOTP(ctx, p.Sub, []byte(plain), nil, 365*24*time.Hour), nil)
	want(t, w.ActivateTOTP(ctx, p.Sub, 1), nil)
	want(t, w.PutPendingTOTP(ctx, waiting.Sub, []byte(plain), nil, 365*24*time.Hour), nil)
	s := store.Session{ID: "id", Sub: p.Sub, AuthTime: beginning, FactorAt: beginning, BackendToken: []byte(plain), ExpiresAt: beginning.Add(time.Hour)}
	want(t, w.CreateSession(ctx, s, hash("secret"), nil), nil)
	w.putSignIn(t, hash("browser"), store.SignIn{Challenge: []byte(plain)}, time.Hour)
	want(t, w.AddSigningKey(ctx, store.SigningKey{KID: "kid", Alg: "RS256", State: store.KeyActive, Private: []byte(plain)}), nil)
	want(t, w.AddPasskey(ctx, store.Passkey{ID: []byte("passkey"), Sub: p.Sub, Credential: []byte(plain)}), nil)
	_, err := w.LinkPeeringDB(ctx, store.PeeringDBAnswer{Sub: p.Sub, PeeringDBID: 4711, RefreshToken: []byte(plain), NextAt: beginning,
		Decide: func(store.PeeringDBState) store.PeeringDBVerdict { return store.PeeringDBVerdict{} }})
	want(t, err, nil)
	return map[string]func(*store.Store) ([]byte, error){
		"SELECT sealed_refresh_token FROM peeringdb_links": func(s *store.Store) ([]byte, error) {
			_, token, err := s.TakePeeringDBCheck(ctx, p.Sub, 0, 0)
			return token, err
		},
		"SELECT sealed_credential FROM passkeys": func(s *store.Store) ([]byte, error) {
			v, err := s.Passkey(ctx, []byte("passkey"))
			return v.Credential, err
		},
		"SELECT sealed_secret FROM factors WHERE pending = FALSE": func(s *store.Store) ([]byte, error) { f, err := s.TOTP(ctx, p.Sub); return f.Secret, err },
		"SELECT sealed_secret FROM factors WHERE pending = TRUE":  func(s *store.Store) ([]byte, error) { f, err := s.PendingTOTP(ctx, waiting.Sub); return f.Secret, err },
		"SELECT sealed_backend_token FROM sessions": func(s *store.Store) ([]byte, error) {
			v, err := s.Session(ctx, hash("secret"), idle)
			return v.BackendToken, err
		},
		"SELECT sealed_challenge FROM signins": func(s *store.Store) ([]byte, error) {
			v, err := s.SignIn(ctx, hash("browser"))
			return v.Challenge, err
		},
		"SELECT sealed_private FROM signing_keys": func(s *store.Store) ([]byte, error) {
			keys, err := s.SigningKeys(ctx)
			if err != nil {
				return nil, err
			}
			return keys[0].Private, nil
		},
	}
}

func TestOldKeyOpensAndTheRowIsSealedAnew(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		current := bytes.Repeat([]byte{'n'}, store.MinSecretKey)
		reads := w.everySealed(t, "plain")
		both, fresh := w.replica(t, storetest.WithSecretKey(current, storetest.SecretKey())), w.replica(t, storetest.WithSecretKey(current))
		for query, read := range reads {
			t.Run(query, func(t *testing.T) {
				reads := func(s *store.Store) {
					t.Helper()
					plain, err := read(s)
					want(t, err, nil)
					if string(plain) != "plain" {
						t.Fatalf("opened %q", plain)
					}
				}
				reads(w.Store)
				before := w.blob(t, query)
				_, err := read(fresh)
				want(t, err, store.ErrWrongSecretKey)
				_, err = read(w.replica(t, withoutKey))
				want(t, err, store.ErrNoSecretKey)
				reads(both)
				after := w.blob(t, query)
				if bytes.Equal(before[1:5], after[1:5]) {
					t.Fatal("the key's id in the blob is still that of the old key")
				}
				reads(fresh)
				reads(both)
				if !bytes.Equal(after, w.blob(t, query)) {
					t.Fatal("a blob under the current key was sealed again")
				}
			})
		}
	})
}

func TestMovedOrDamagedBlobDoesNotOpen(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		victim, thief := w.enrolled(t), w.enrolled(t)
		write := func(blob []byte) {
			t.Helper()
			if _, err := w.Writer().ExecContext(ctx, "UPDATE factors SET sealed_secret = $2 WHERE sub = $1", thief.Sub, blob); err != nil {
				t.Fatal(err)
			}
		}
		own := w.blob(t, "SELECT sealed_secret FROM factors WHERE sub = $1", thief.Sub)
		w.putSignIn(t, hash("b"), store.SignIn{Challenge: []byte("secret")}, time.Hour)
		flipped := bytes.Clone(own)
		flipped[len(flipped)-1] ^= 1
		for name, blob := range map[string][]byte{
			"of another row":    w.blob(t, "SELECT sealed_secret FROM factors WHERE sub = $1", victim.Sub),
			"of another column": w.blob(t, "SELECT sealed_challenge FROM signins"),
			"with a wrong bit":  flipped,
			"cut short":         own[:20],
			"empty":             {},
			"of version 2":      append([]byte{2}, own[1:]...),
		} {
			write(blob)
			if f, err := w.TOTP(ctx, thief.Sub); err == nil {
				t.Errorf("a blob %s opened to %q", name, f.Secret)
			}
		}
		write(own)
		_, err := w.TOTP(ctx, thief.Sub)
		want(t, err, nil)
	})
}

func TestNothingToSealNeedsNoKey(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		bare := w.replica(t, withoutKey)
		ctx := t.Context()
		p := w.person(t)
		s := store.Session{ID: "id", Sub: p.Sub, AuthTime: beginning, FactorAt: beginning, ExpiresAt: beginning.Add(time.Hour)}
		want(t, bare.CreateSession(ctx, s, hash("secret"), nil), nil)
		_, err := bare.Session(ctx, hash("secret"), idle)
		want(t, err, nil)
		_, err = bare.PutSignIn(ctx, hash("browser"), store.SignIn{Sub: p.Sub}, time.Hour)
		want(t, err, nil)
		_, err = bare.SignIn(ctx, hash("browser"))
		want(t, err, nil)
		s.ID, s.BackendToken = "other", []byte("token")
		want(t, bare.CreateSession(ctx, s, hash("other"), nil), store.ErrNoSecretKey)
		_, err = bare.PutSignIn(ctx, hash("browser"), store.SignIn{Challenge: []byte("c")}, time.Hour)
		want(t, err, store.ErrNoSecretKey)
		want(t, bare.PutPendingTOTP(ctx, p.Sub, []byte("secret"), nil, time.Hour), store.ErrNoSecretKey)
	})
}

// What must be used again is sealed, what is only compared is hashed: neither
// lies in the database's files in clear, the write-ahead log included.
func TestNoSecretLiesInClear(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Engines()[0])
	ctx := t.Context()
	const plain = "PLAIN-SECRET-THAT-NOBODY-MAY-READ"
	w.everySealed(t, plain)
	g := w.granted(t, true)
	w.rotate(t, g.refresh(), g.ClientID, "next")
	_, err := w.SyncSystemClients(ctx, []store.Client{{ClientID: "app", ClientSecretHash: plain, OldSecretHash: plain}})
	want(t, err, nil)
	want(t, w.SetPassword(ctx, w.person(t).Sub, "$argon2id$PHC-STRING-OF-A-PASSWORD", ""), nil)
	var all []byte
	files, err := filepath.Glob(w.address + "*")
	want(t, err, nil)
	for _, file := range files {
		b, err := os.ReadFile(file)
		want(t, err, nil)
		all = append(all, b...)
	}
	for _, secret := range []string{plain, string(storetest.SecretKey())} {
		if bytes.Contains(all, []byte(secret)) {
			t.Errorf("%q lies in the database", secret)
		}
	}
	// The search itself works: these are there, as hashes.
	for _, there := range []string{string(g.Hash), string(hash("refresh next")), "PHC-STRING-OF-A-PASSWORD", g.Sub} {
		if !bytes.Contains(all, []byte(there)) {
			t.Errorf("%q was not found in the files", there)
		}
	}
}
