package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"peerage/identity/openbao/baotest"
)

// newOpenBaoServer is a server whose people live in an OpenBao that an operator
// set up by our own command, with the rights that it gives and no others. A
// proxy stands between the two.
func newOpenBaoServer(t *testing.T, env ...string) (*server, *baotest.Server, *baotest.Proxy) {
	t.Helper()
	bao := baotest.Shared(t)
	proxy := baotest.NewProxy(t, bao.Addr)
	s := newServer(t, append([]string{"BAO_ADDR=" + proxy.Addr, "BAO_NAMESPACE=" + bao.Namespace, "PEERAGE_BAO_EMAIL_VERIFIED=true"}, env...)...)
	policy := s.run(t, "", "openbao", "bootstrap", "--operator-policy")
	bootstrap := exec.Command(binary, "openbao", "bootstrap", "--people", "--json")
	bootstrap.Env, bootstrap.Stderr = append(slices.Clone(s.env), "BAO_TOKEN="+bao.Token("operator", policy)), os.Stderr
	out, err := bootstrap.Output()
	var made struct{ Token string }
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	if err != nil || made.Token == "" {
		t.Fatalf("bootstrap: %v\n%s", err, out)
	}
	s.env = append(s.env, "PEERAGE_BAO_TOKEN="+made.Token)
	return s, bao, proxy
}

// addOpenBaoPerson makes somebody as an operator of OpenBao does.
func addOpenBaoPerson(bao *baotest.Server, name string, groups ...string) (entity string) {
	return bao.Add(baotest.Person{Name: name, Password: password, Policies: []string{"portal-user"}, Groups: groups,
		Metadata: map[string]string{"name": strings.ToUpper(name[:1]) + name[1:] + " Example", "email": name + "@example.net"}})
}

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
	s, bao, proxy := newOpenBaoServer(t)
	entity := addOpenBaoPerson(bao, "ada", "admins", "noc", "as64500")
	addOpenBaoPerson(bao, "bob")
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
