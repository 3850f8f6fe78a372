package openbao_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/store"
)

// Something between peerage and OpenBao that answers with a page of its own says
// nothing of people: their password is not wrong, their code is not, and they
// are not gone.
func TestPageOfALoadBalancerBlamesNobody(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	entity := s.add("ada", password, "noc")
	ada := s.login("ada", password)
	u := s.user("ada")
	secret := s.bao.EnrolTOTP(s.method, entity)
	waits := s.login("ada", password).Challenge
	var status atomic.Int64
	b := s.behind(func(w http.ResponseWriter, r *http.Request, through http.Handler) {
		if status.Load() == 0 {
			through.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(int(status.Load()))
		fmt.Fprint(w, "<html><h1>Not today</h1></html>")
	})
	for _, code := range []int64{400, 403, 404, 405, 502} {
		status.Store(code)
		what := fmt.Sprintf("%d: ", code)
		_, err := b.Login(t.Context(), "ada", password)
		s.wantErr(what+"a password", err, identity.ErrUnavailable)
		_, err = b.Answer(t.Context(), "ada", waits, baotest.Code(secret, time.Now()))
		s.wantErr(what+"a code", err, identity.ErrUnavailable)
		s.wantErr(what+"signing out", b.SignOut(t.Context(), ada.Token), identity.ErrUnavailable)
		_, err = b.NewTOTP(t.Context(), u)
		s.wantErr(what+"an enrolment", err, identity.ErrUnavailable)
		s.clock.Advance(10 * time.Second)
		if state, err := b.State(t.Context(), u); err != nil || state.Disabled {
			t.Errorf("%sher state is %+v, %v", what, state, err)
		}
	}
	if n := s.doubts.Load(); n != 0 {
		t.Errorf("the service credential is doubted %d times", n)
	}
	status.Store(0)
	s.clock.Advance(10 * time.Second)
	if _, err := b.Answer(t.Context(), "ada", waits, baotest.Code(secret, time.Now())); err != nil {
		t.Errorf("afterwards the code: %v", err)
	}
}

// Of a token that ends at the moment it is looked up OpenBao says what it also
// says of a service credential that was refused. One is a matter of
// milliseconds, the other is told.
func TestTokenThatEndsWhileItIsLookedUp(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	s.login("ada", password)
	ada := s.user("ada")
	s.created(ada)
	var refusals atomic.Int64
	b := s.behind(func(w http.ResponseWriter, r *http.Request, through http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/lookup-accessor") && refusals.Add(-1) >= 0 {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"errors":["permission denied"]}`)
			return
		}
		through.ServeHTTP(w, r)
	})
	refusals.Store(2)
	list, err := b.APITokens(t.Context(), ada)
	if err != nil || len(list) != 1 || list[0].State != openbao.TokenWrapped {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if n := s.doubts.Load(); n != 0 {
		t.Errorf("the service credential is doubted %d times", n)
	}
	refusals.Store(1000)
	_, err = b.APITokens(t.Context(), ada)
	s.wantErr("a right that is missing", err, identity.ErrUnavailable)
	if s.doubts.Load() == 0 {
		t.Error("nobody is told that a right is missing")
	}
}

// A page that asks of many things one by one is there in time when each answer
// takes long, with what is known until then.
func TestLongListsEndInTime(t *testing.T) {
	s := newSite(t, baotest.Shared(t), func(p *openbao.People, _ *openbao.Bootstrap) {
		p.PKI = openbao.Role{Mount: "pki", Name: "people"}
	})
	s.add("ada", password)
	s.login("ada", password)
	ada := s.user("ada")
	now := s.clock.Now()
	for i := range openbao.MaxAPITokens {
		err := s.store.AddAPIToken(t.Context(), store.APIToken{Accessor: fmt.Sprint("token", i), Sub: ada.Sub, WrappingAccessor: "w", UnwrapBefore: now, ExpiresAt: now.Add(time.Hour)})
		if err == nil {
			err = s.store.AddCertificate(t.Context(), store.Certificate{Serial: fmt.Sprintf("%02x", i), Sub: ada.Sub, CommonName: "ada", NotBefore: now, NotAfter: now.Add(time.Hour)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b := s.behind(func(w http.ResponseWriter, r *http.Request, through http.Handler) {
		for _, part := range []string{"/lookup-accessor", "/revoke-accessor", "/pki/cert/"} {
			if strings.Contains(r.URL.Path, part) {
				<-time.After(400 * time.Millisecond)
				fmt.Fprint(w, `{"data":{"revocation_time":0}}`)
				return
			}
		}
		through.ServeHTTP(w, r)
	})
	var all sync.WaitGroup
	for what, call := range map[string]func() error{
		"API tokens": func() error {
			list, err := b.APITokens(t.Context(), ada)
			if len(list) != openbao.MaxAPITokens || list[0].State != openbao.TokenLive || list[len(list)-1].State != openbao.TokenUnknown {
				t.Errorf("the tokens are %+v", list)
			}
			return err
		},
		"certificates": func() error {
			list, err := b.Certificates(t.Context(), ada)
			if len(list) != openbao.MaxAPITokens || list[0].State != openbao.CertificateValid || list[len(list)-1].State != openbao.CertificateUnknown {
				t.Errorf("the certificates are %+v", list)
			}
			return err
		},
		"sign out everywhere": func() error { return b.SignOutEverywhere(t.Context(), ada) },
	} {
		all.Go(func() {
			begun := time.Now()
			if err := call(); !errors.Is(err, identity.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
			if taken := time.Since(begun); taken > 5*time.Second {
				t.Errorf("%s took %s", what, taken)
			}
		})
	}
	all.Wait()
}
