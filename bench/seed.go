package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

// world is what the load needs to know of the seeded server.
type world struct {
	Database string
	Address  string // of the public listener
	Ops      string // of the operations listener
	// People hold a session each; Tokens are live access tokens, Refresh live
	// refresh tokens of the client bench.
	Sessions []string
	Tokens   []string
	Refresh  []string
	RefreshE []string // of the client bench-es
	// Admin is the session of an administrator.
	Admin string
	// Env are further settings of the server.
	Env []string
	// Signers are people of OpenBao who sign in, dealt out to so many workers;
	// Method is that of their codes, Thinks how long they take to type one.
	Signers       []signer
	SignerWorkers int
	Method        string
	Thinks        time.Duration
}

const (
	issuer       = "http://localhost:8080"
	secretKey    = "a secret key of the bench, not of yours"
	clientSecret = "bench-secret"
	password     = "correct horse battery staple"
	redirectURI  = "https://app.example.net/callback"
	verifier     = "dBjftJeZ4CVP-mBqktjMJ2ZxyUo0sJ0tKwFf3F2iQ1M"
	challenge    = "W4vT6N7NSxGDwPic4ncM1BbIw9pczxGNF5VJGcJSpMg"
	active       = 64 // people and tokens that the load uses, spread over all
)

// clients are the same but for the algorithm of their ID tokens.
func clients() string {
	var list []map[string]any
	for id, alg := range map[string]string{"bench": "RS256", "bench-es": "ES256"} {
		list = append(list, map[string]any{"client_id": id, "name": "Bench " + alg, "client_secret": clientSecret, "redirect_uris": []string{redirectURI},
			"id_token_signed_response_alg": alg, "grant_types": []string{"authorization_code", "refresh_token", "client_credentials"}})
	}
	text, _ := json.Marshal(list) // of strings alone
	return string(text)
}

// seed makes a database with people who are signed in and hold tokens.
func seed(ctx context.Context, dir string, o options) (*world, error) {
	w := &world{Database: filepath.Join(dir, "bench.db")}
	if o.database != "" {
		w.Database = o.database
	}
	begun := time.Now()
	_, err := os.Stat(w.Database)
	fresh := os.IsNotExist(err)
	s, err := store.Open(ctx, store.Options{Database: w.Database, Create: true, SecretKey: []byte(secretKey)})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if _, err := s.Migrate(ctx); err != nil {
		return nil, err
	}
	if fresh {
		if err := seedMany(ctx, w.Database, o); err != nil {
			return nil, err
		}
	}
	passwords := identity.NewPasswords(2)
	hash, err := passwords.Hash(password)
	if err != nil {
		return nil, err
	}
	for i := range active {
		if err := w.add(ctx, s, i, hash); err != nil {
			return nil, err
		}
	}
	if w.Admin, err = administrator(ctx, s, hash); err != nil {
		return nil, err
	}
	fmt.Printf("seeded %d people, %d access tokens and %d events in %s\n\n", o.people, o.tokens, o.events, time.Since(begun).Round(time.Millisecond))
	return w, nil
}

// add signs one person in and gives them tokens of both clients.
func (w *world) add(ctx context.Context, s *store.Store, i int, hash string) error {
	sub, session := "bench-"+identity.NewSecret(), identity.NewSecret()
	u := store.User{Sub: sub, Origin: identity.OriginLocal, Username: fmt.Sprintf("person-%s", strings.ToLower(sub[len(sub)-8:])) + strconv.Itoa(i), Name: "Ada Example", GivenName: "Ada",
		FamilyName: "Example", Email: "ada" + strconv.Itoa(i) + "@example.net", EmailVerified: true}
	if i < len(names) {
		u.Username = names[i]
		if _, err := s.UserByName(ctx, u.Username); err == nil {
			u.Username += identity.NewSecret()[:6]
		}
	}
	if err := s.CreateUser(ctx, u, hash, nil); err != nil {
		return err
	}
	if err := signedIn(ctx, s, sub, session, identity.ACROneFactor, "pwd"); err != nil {
		return err
	}
	return w.hold(ctx, s, sub, session)
}

// hold gives somebody who is signed in tokens of both clients.
func (w *world) hold(ctx context.Context, s *store.Store, sub, session string) error {
	w.Sessions = append(w.Sessions, session)
	for _, client := range []string{"bench", "bench-es"} {
		access, refresh, err := give(ctx, s, client, sub, session[:20])
		if err != nil {
			return err
		}
		if client == "bench" {
			w.Tokens, w.Refresh = append(w.Tokens, access), append(w.Refresh, refresh)
		} else {
			w.RefreshE = append(w.RefreshE, refresh)
		}
	}
	return nil
}

func signedIn(ctx context.Context, s *store.Store, sub, session, acr string, amr ...string) error {
	now := time.Now()
	return s.CreateSession(ctx, store.Session{ID: session[:20], Sub: sub, AuthTime: now, ACR: acr, AMR: amr, FactorAt: now,
		IP: "127.0.0.1", UserAgent: "bench", ExpiresAt: now.Add(24 * time.Hour)}, identity.Hash(session), nil)
}

// administrator makes one who is signed in with two factors.
func administrator(ctx context.Context, s *store.Store, hash string) (session string, err error) {
	sub, session := "admin-"+identity.NewSecret(), identity.NewSecret()
	u := store.User{Sub: sub, Origin: identity.OriginLocal, Username: "admin-" + strings.ToLower(hex.EncodeToString(identity.Hash(sub)[:6])), Name: "Ada Admin"}
	if err := s.CreateUser(ctx, u, hash, []string{"admins"}); err != nil {
		return "", err
	}
	return session, signedIn(ctx, s, sub, session, identity.ACRTwoFactors, "pwd", "otp", "mfa")
}

// names are those that sign in by password.
var names = func() (list []string) {
	for i := range active {
		list = append(list, "signer"+strconv.Itoa(i))
	}
	return list
}()

var allScopes = []string{"openid", "profile", "email", "groups", "offline_access"}

// give records a consent and redeems a code for tokens, as the flow would.
func give(ctx context.Context, s *store.Store, client, sub, session string) (access, refresh string, err error) {
	id := identity.NewSecret()
	browser := identity.Hash(id)
	if _, err := s.CreateRequest(ctx, store.Request{ID: id, ClientID: client, Parameters: "{}", BrowserHash: browser}, time.Minute); err != nil {
		return "", "", err
	}
	if err := s.SaveConsent(ctx, id, browser, store.Progress{}, sub, client, allScopes); err != nil {
		return "", "", err
	}
	grant, err := json.Marshal(map[string]any{"scopes": allScopes, "auth_time": time.Now().Unix(), "acr": "1", "amr": []string{"pwd"}, "sid": session})
	if err != nil {
		return "", "", err
	}
	code := identity.NewSecret()
	err = s.IssueCode(ctx, id, browser, store.Code{Hash: identity.Hash(code), FamilyID: id, ClientID: client, Sub: sub, SessionID: session,
		RedirectURI: redirectURI, Grant: string(grant)}, time.Minute)
	if err != nil {
		return "", "", err
	}
	access, refresh = "pat_"+identity.NewSecret(), "prt_"+identity.NewSecret()
	later := time.Now().Add(23 * time.Hour)
	return access, refresh, s.RedeemCode(ctx, identity.Hash(code), client, true, later, store.Issue{
		AccessHash: identity.Hash(access), AccessExpires: later, Scopes: allScopes, RefreshHash: identity.Hash(refresh), RefreshExpires: later})
}

// seedMany fills the store, so that a cost that grows with it shows. Through
// the store's operations a million people would take the better part of an
// hour, so it writes the rows that these would write.
func seedMany(ctx context.Context, path string, o options) error {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer db.Close()
	now := time.Now()
	const numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) "
	for _, fill := range []struct {
		rows int
		sql  string
	}{
		{o.people, `INSERT INTO users (sub, origin, username, name, given_name, family_name, email, email_verified, disabled, needs_link, created_at, updated_at)
			SELECT 'many-' || i, 'local', 'many' || i, 'Person ' || i, 'Person', i, 'many' || i || '@example.net', FALSE, FALSE, FALSE, $2, $2 FROM n`},
		{o.people, `INSERT INTO user_words (word, sub) SELECT CAST('many' || i AS BLOB), 'many-' || i FROM n WHERE $2 > 0`},
		{o.tokens, `INSERT INTO families (id, client_id, session_id, offline, grant_document, created_at, expires_at)
			SELECT 'many-' || i, 'bench', '', FALSE, '{"scopes":[]}', $2, $2 + 82800000000 FROM n`},
		{o.tokens, `INSERT INTO access_tokens (token_hash, family_id, scopes, created_at, expires_at)
			SELECT randomblob(32), 'many-' || i, '', $2, $2 + 82800000000 FROM n`},
		{o.events, `INSERT INTO events (id, time, event, username, sub, client_id, ip, result, detail, request_id, trace_id, span_id)
			SELECT lower(hex(randomblob(16))), $2 - i * 1000000, CASE i % 4 WHEN 0 THEN 'login_success' WHEN 1 THEN 'oidc_authorize' WHEN 2 THEN 'oidc_token' ELSE 'oidc_userinfo' END,
			'many' || (i % 10000), 'many-' || (i % 10000), 'bench', '192.0.2.' || (i % 256), 'success', '', 'BENCH', '', '' FROM n`},
	} {
		if fill.rows == 0 {
			continue
		}
		if _, err := db.ExecContext(ctx, numbers+fill.sql, fill.rows, now.UnixMicro()); err != nil {
			return err
		}
	}
	return ctx.Err()
}
