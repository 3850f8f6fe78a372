package e2e

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"peerage/identity/openbao/baotest"
)

// ready asks /readyz.
func (s *server) ready(t *testing.T) string {
	t.Helper()
	response, err := http.Get("http://" + s.Ops + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return strings.TrimSpace(string(body))
}

// Somebody of OpenBao comes in by password, enrols the second factor that the
// administrators' group demands, and a client gets what OpenBao says of them.
// While OpenBao is away nobody signs in, and those who have go on.
func TestSignInOverOpenBao(t *testing.T) {
	once(t)
	s, proxy := newOpenBaoServer(t, baotest.Shared(t), nil)
	entity := addOpenBaoPerson(s.bao, "ada", "admins", "noc", "as64500")
	s.addUser(t, "bob")
	s.start(t)
	secret := s.addClient(t, "grafana", "--redirect-uri", clientCallback, "--trusted")
	if got := s.ready(t); got != `{"store":"ok","openbao":"ok","netbox":"off","peeringdb":"off"}` {
		t.Errorf("/readyz says %s", got)
	}
	rp, ada := s.newRelyingParty(t, "grafana", secret, "RS256"), s.newPerson(t, "ada")
	token, _, _, asked := rp.signIn(t, ada)
	if want := []string{"sign-in", "enrol"}; !slices.Equal(asked, want) {
		t.Errorf("pages %v, want %v", asked, want)
	}
	info := rp.userInfo(t, token)
	slices.Sort(info.Groups)
	if info.Sub != entity || info.Email != "ada@example.net" || !info.EmailVerified || !slices.Equal(info.Groups, []string{"admins", "noc"}) {
		t.Errorf("UserInfo %+v, want the entity %s with the groups admins and noc", info, entity)
	}
	again := s.newPerson(t, "ada")
	again.secret, again.code = ada.secret, ada.code
	if _, _, _, asked = rp.signIn(t, again); !slices.Equal(asked, []string{"sign-in", "code"}) {
		t.Errorf("the second sign-in asks %v", asked)
	}

	proxy.Hang()
	late := s.newPerson(t, "bob")
	_, _, err := late.authorize(t.Context(), rp.AuthCodeURL("state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	var fault *pageError
	if !errors.As(err, &fault) || fault.status != 503 || fault.fault != "backend_unavailable" {
		t.Errorf("a sign-in without OpenBao: %v", err)
	}
	if _, err := rp.refresh(t.Context(), token); err != nil {
		t.Errorf("a refresh without OpenBao: %v", err)
	}
	proxy.Resume()
	if _, _, _, asked = rp.signIn(t, late); !slices.Equal(asked, []string{"sign-in"}) {
		t.Errorf("with OpenBao back, the sign-in asks %v", asked)
	}
}
