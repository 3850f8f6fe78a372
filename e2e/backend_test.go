package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"peerage/identity/openbao/baotest"
)

// serverMaker is newServer, or what makes a server with another backend.
type serverMaker func(t *testing.T, env ...string) *server

// eachBackend tells a story with people whom peerage keeps itself and with
// people of an OpenBao, at once: half of a story is waiting.
func eachBackend(t *testing.T, story func(t *testing.T, newServer serverMaker)) {
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		story(t, newServer)
	})
	t.Run("openbao", func(t *testing.T) {
		once(t)
		t.Parallel()
		story(t, func(t *testing.T, env ...string) *server {
			t.Helper()
			s, _ := newOpenBaoServer(t, baotest.Shared(t), nil, env...)
			return s
		})
	})
}

// newOpenBaoServer is a server whose people live in an OpenBao that an operator
// set up by our own command, with the rights that it gives and no others. A
// proxy stands between the two. with are further arguments of the bootstrap.
func newOpenBaoServer(t *testing.T, bao *baotest.Server, with []string, env ...string) (*server, *baotest.Proxy) {
	t.Helper()
	proxy := baotest.NewProxy(t, bao.Addr)
	s := newServer(t, append([]string{"BAO_ADDR=" + proxy.Addr, "BAO_NAMESPACE=" + bao.Namespace, "PEERAGE_BAO_EMAIL_VERIFIED=true"}, env...)...)
	s.bao = bao
	policy := s.run(t, "", append([]string{"openbao", "bootstrap", "--operator-policy"}, with...)...)
	bootstrap := exec.Command(binary, append([]string{"openbao", "bootstrap", "--people", "--json"}, with...)...)
	bootstrap.Env, bootstrap.Stderr = append(slices.Clone(s.env), "BAO_TOKEN="+bao.Token("operator", policy)), os.Stderr
	out, err := bootstrap.Output()
	var made struct {
		Token    string
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
	}
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	switch {
	case err == nil && made.Token != "":
		s.env = append(s.env, "PEERAGE_BAO_TOKEN="+made.Token)
	case err == nil && made.SecretID != "":
		s.env = append(s.env, "PEERAGE_BAO_ROLE_ID="+made.RoleID, "PEERAGE_BAO_SECRET_ID="+made.SecretID)
	default:
		t.Fatalf("bootstrap: %v\n%s", err, out)
	}
	return s, proxy
}

// addOpenBaoPerson makes somebody as an operator of OpenBao does.
func addOpenBaoPerson(bao *baotest.Server, name string, groups ...string) (entity string) {
	return bao.Add(baotest.Person{Name: name, Password: password, Policies: []string{"portal-user"}, Groups: groups,
		Metadata: map[string]string{"name": strings.ToUpper(name[:1]) + name[1:] + " Example", "email": name + "@example.net"}})
}

// leave takes a person out of a group, where they are kept.
func (s *server) leave(t *testing.T, group, name string) {
	t.Helper()
	if s.bao != nil {
		s.bao.Leave(group, name)
		return
	}
	s.run(t, "", "group", "remove", group, name)
}

// addGroups makes groups where people are kept; OpenBao's come with the first
// person.
func (s *server) addGroups(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if s.bao == nil {
			s.run(t, "", "group", "create", name)
		}
	}
}
