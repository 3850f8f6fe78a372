package openbao_test

import (
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/store"
)

// created makes an API token that must succeed.
func (s *site) created(u identity.User) openbao.WrappedToken {
	s.t.Helper()
	made, err := s.backend.CreateAPIToken(s.t.Context(), u)
	if err != nil {
		s.t.Fatalf("CreateAPIToken of %s: %v", u.Username, err)
	}
	return made
}

// unwrap is `bao unwrap`: it gives the token, "" when the wrapping is spent.
func (s *site) unwrap(wrapping string) string {
	s.t.Helper()
	token, _ := s.bao.Call(wrapping, "POST", "sys/wrapping/unwrap", nil).Auth["client_token"].(string)
	return token
}

// tokens lists a person's API tokens, which OpenBao must answer for.
func (s *site) tokens(u identity.User) []openbao.APIToken {
	s.t.Helper()
	list, err := s.backend.APITokens(s.t.Context(), u)
	if err != nil {
		s.t.Fatalf("APITokens of %s: %v", u.Username, err)
	}
	return list
}

// states are the states of a person's tokens, the newest first.
func (s *site) states(u identity.User) (list []openbao.TokenState) {
	s.t.Helper()
	for _, token := range s.tokens(u) {
		list = append(list, token.State)
	}
	return list
}

// known is a person who has signed in once.
func (s *site) known(name string, groups ...string) identity.User {
	s.t.Helper()
	s.add(name, password, groups...)
	s.login(name, password)
	return s.user(name)
}

func TestAPITokenOfAPerson(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.known("ada", "noc")
	session := s.login("ada", password).Token
	made := s.created(ada)
	if got := s.states(ada); len(got) != 1 || got[0] != openbao.TokenWrapped {
		t.Fatalf("before it is unwrapped: %v", got)
	}
	if now := s.clock.Now(); !made.UnwrapBefore.Equal(now.Add(5*time.Minute)) || !made.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("it says %+v at %s", made, now)
	}
	wrapping := s.bao.Call("", "POST", "sys/wrapping/lookup", map[string]string{"token": made.Token})
	if wrapping.Data["creation_ttl"] != 300.0 {
		t.Errorf("the wrapping is %v", wrapping.Data)
	}
	token := s.unwrap(made.Token)
	self := s.bao.Call(token, "GET", "auth/token/lookup-self", nil).Data
	if self["entity_id"] != ada.Sub || self["orphan"] != true || self["renewable"] != false || self["creation_ttl"] != 3600.0 {
		t.Errorf("the token is %v", self)
	}
	if again := s.unwrap(made.Token); again != "" {
		t.Error("it can be unwrapped twice")
	}
	if got := s.states(ada); got[0] != openbao.TokenLive {
		t.Errorf("after it was unwrapped: %v", got)
	}
	// It outlives the session in which it was made, and not its person's list.
	s.wantErr("SignOut", s.backend.SignOut(t.Context(), session), nil)
	if !s.lives([]byte(token)) {
		t.Error("the token ended with the session")
	}
	s.wantErr("revoking", s.backend.RevokeAPIToken(t.Context(), ada, s.tokens(ada)[0].Accessor), nil)
	if s.lives([]byte(token)) || s.states(ada)[0] != openbao.TokenEnded {
		t.Errorf("after its end it lives: %v, %v", s.lives([]byte(token)), s.states(ada))
	}
	s.wantErr("revoking again", s.backend.RevokeAPIToken(t.Context(), ada, s.tokens(ada)[0].Accessor), nil)
	if made, ended := s.events("token_create"), s.events("token_revoke"); len(made) != 1 || len(ended) != 2 || made[0].Result != "success" || made[0].Username != "ada" {
		t.Errorf("the audit trail tells %v and %v", made, ended)
	}
}

// A revoked token that nobody has unwrapped yet cannot be unwrapped any more.
func TestRevokingEndsTheWrappingToo(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.known("ada")
	made := s.created(ada)
	s.wantErr("revoking", s.backend.RevokeAPIToken(t.Context(), ada, s.tokens(ada)[0].Accessor), nil)
	if token := s.unwrap(made.Token); token != "" {
		t.Error("it can still be unwrapped")
	}
}

// Somebody else's accessor, which is no secret, revokes nothing and tells nothing.
func TestAnotherPersonsAccessorIsRefused(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada, eve := s.known("ada"), s.known("eve")
	token := s.unwrap(s.created(ada).Token)
	accessor := s.tokens(ada)[0].Accessor
	service, _ := s.bao.Call(s.token, "GET", "auth/token/lookup-self", nil).Data["accessor"].(string)
	for _, foreign := range []string{accessor, service, "", "nonsense", "../../token/revoke", "' OR 1=1 --"} {
		s.wantErr("revoking "+foreign, s.backend.RevokeAPIToken(t.Context(), eve, foreign), openbao.ErrNotTheirs)
	}
	if !s.lives([]byte(token)) || !s.lives([]byte(s.token)) || len(s.tokens(eve)) != 0 {
		t.Error("eve ended another's token, or sees it")
	}
	for _, e := range s.events("token_revoke") {
		if e.Result != "failure" || e.Username != "eve" {
			t.Errorf("the audit trail tells %+v", e)
		}
	}
}

// Who sends the wrapping token as if it were the token destroys it: the page
// tells them, and the token inside can be revoked by the list.
func TestWrappingTokenUsedAsATokenIsSpent(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.known("ada")
	made := s.created(ada)
	if answer := s.bao.Call(made.Token, "GET", "auth/token/lookup-self", nil); answer.Status != 403 {
		t.Errorf("the wrapping token as a token: %d", answer.Status)
	}
	if token := s.unwrap(made.Token); token != "" {
		t.Error("it can be unwrapped after that")
	}
	if got := s.states(ada); got[0] != openbao.TokenLive {
		t.Errorf("the list says %v", got)
	}
	s.wantErr("revoking", s.backend.RevokeAPIToken(t.Context(), ada, s.tokens(ada)[0].Accessor), nil)
}

// Where the name belongs to another entity on the mount of tokens, a token of
// that name would act as somebody else.
func TestAPITokenIsNeverSomebodyElses(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	eve := s.known("eve")
	operator := s.bao.Do("POST", "identity/entity/name/operator", nil)["id"]
	s.bao.Do("POST", "identity/entity-alias", map[string]any{"name": "eve", "mount_accessor": s.bao.Accessor("token"), "canonical_id": operator})
	if _, err := s.backend.CreateAPIToken(t.Context(), eve); err == nil {
		t.Error("eve got a token of the operator")
	} else {
		s.wantErr("a moved alias", err, openbao.ErrForeignAlias)
	}
	if mismatch := s.events("entity_mismatch"); len(mismatch) != 1 || len(s.tokens(eve)) != 0 {
		t.Errorf("the audit trail tells %v", mismatch)
	}
}

// Without an alias OpenBao would make an entity that has none of the person's
// groups. peerage makes the alias where it may, and else says so.
func TestAPITokenNeedsAnAlias(t *testing.T) {
	for name, granted := range map[string]bool{"granted": true, "not granted": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, baotest.Shared(t), func(_ *openbao.People, b *openbao.Bootstrap) { b.People = granted })
			ada := s.known("ada")
			for _, alias := range s.bao.Do("GET", "identity/entity/id/"+ada.Sub, nil)["aliases"].([]any) {
				if a := alias.(map[string]any); a["mount_accessor"] == s.bao.Accessor("token") {
					s.bao.Do("DELETE", "identity/entity-alias/id/"+a["id"].(string), nil)
				}
			}
			made, err := s.backend.CreateAPIToken(t.Context(), ada)
			if !granted {
				s.wantErr("without alias", err, identity.ErrNotGranted)
				if s.doubts.Load() != 0 {
					t.Error("the service credential is doubted for what was not granted")
				}
				return
			}
			s.wantErr("without alias", err, nil)
			if self := s.bao.Call(s.unwrap(made.Token), "GET", "auth/token/lookup-self", nil).Data; self["entity_id"] != ada.Sub {
				t.Errorf("the token is %v", self)
			}
		})
	}
}

// A password that somebody else knew may have made tokens too.
func TestPasswordChangeEndsAPITokens(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.known("ada")
	for _, change := range []func() error{
		func() error {
			_, err := s.backend.ChangePassword(t.Context(), ada, identity.PasswordChange{Current: password, New: another})
			return err
		},
		func() error { return s.backend.SetPassword(t.Context(), ada, password) },
		func() error { return s.backend.SignOutEverywhere(t.Context(), ada) },
	} {
		token := s.unwrap(s.created(ada).Token)
		s.wantErr("changing", change(), nil)
		if s.lives([]byte(token)) || s.states(ada)[0] != openbao.TokenEnded {
			t.Error("the token of before lives")
		}
	}
}

func TestAPITokensAreBounded(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.known("ada")
	_, namespace, _ := strings.Cut(strings.TrimPrefix(s.token, "s."), ".")
	for i := range openbao.MaxAPITokens {
		now := s.clock.Now()
		row := store.APIToken{Accessor: string(rune('a'+i)) + "-of-a-token-that-ended." + namespace, Sub: ada.Sub, WrappingAccessor: "w", UnwrapBefore: now, ExpiresAt: now.Add(time.Hour)}
		s.wantErr("a row", s.store.AddAPIToken(t.Context(), row), nil)
	}
	_, err := s.backend.CreateAPIToken(t.Context(), ada)
	s.wantErr("one more", err, openbao.ErrTooManyTokens)
	// What OpenBao does not know any more makes room.
	for _, state := range s.states(ada) {
		if state != openbao.TokenEnded {
			t.Errorf("a token that is gone is %s", state)
		}
	}
	s.created(ada)
}

// OpenBao moves an alias to whoever is named last. A new person takes none of
// somebody else's, and with it their API tokens.
func TestNewPersonTakesNobodysTokenAlias(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	other, _ := s.bao.Do("POST", "identity/entity/name/robot", nil)["id"].(string)
	tokens := s.bao.Accessor("token")
	s.bao.Do("POST", "identity/entity-alias", map[string]any{"name": "eve", "mount_accessor": tokens, "canonical_id": other})
	_, err := s.backend.NewAccount(t.Context(), identity.NewUser{Username: "eve", Password: password})
	s.wantErr("a name that an alias has", err, store.ErrExists)
	if has := s.bao.Do("POST", "identity/lookup/entity", map[string]any{"alias_name": "eve", "alias_mount_accessor": tokens})["id"]; has != other {
		t.Errorf("the alias went to %v", has)
	}
	if answer := s.bao.Ask("GET", "identity/entity/name/eve", nil); answer.Status != 404 {
		t.Errorf("half of a person is left: %d", answer.Status)
	}
}

// While OpenBao is away the list says what is known, and nothing is made.
func TestAPITokensWithoutOpenBao(t *testing.T) {
	s := newHastySite(t, baotest.Shared(t))
	ada := s.known("ada")
	s.created(ada)
	s.proxy.Hang()
	list, err := s.backend.APITokens(t.Context(), ada)
	s.wantErr("the list", err, identity.ErrUnavailable)
	if len(list) != 1 || list[0].State != openbao.TokenUnknown {
		t.Errorf("the list is %v", list)
	}
	_, err = s.backend.CreateAPIToken(t.Context(), ada)
	s.wantErr("making one", err, identity.ErrUnavailable)
	s.wantErr("revoking", s.backend.RevokeAPIToken(t.Context(), ada, list[0].Accessor), identity.ErrUnavailable)
	s.proxy.Resume()
	if got := s.states(ada); got[0] != openbao.TokenWrapped {
		t.Errorf("afterwards it is %v", got)
	}
	if e := s.events("token_create"); len(e) != 2 || e[0].Result != "unavailable" {
		t.Errorf("the audit trail tells %+v", e)
	}
}
