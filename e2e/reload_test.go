package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

const (
	wikiJSON = `{"client_id":"wiki","client_secret":"the secret of wiki","redirect_uris":["` + clientCallback + `"]}`
	blogJSON = `{"client_id":"blog","client_secret":"the secret of blog","redirect_uris":["` + clientCallback + `"]}`
)

// reload writes the clients' file, sends SIGHUP and waits until the log says
// what came of it.
func (s *server) reload(t *testing.T, path, clients, says string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(clients), 0o600); err != nil {
		t.Fatalf("writing the clients: %v", err)
	}
	before := strings.Count(s.log.tail(1<<24), says)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatalf("sending SIGHUP: %v", err)
	}
	for begun := time.Now(); strings.Count(s.log.tail(1<<24), says) == before; <-time.After(10 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("after SIGHUP the log does not say %q", says)
		}
	}
}

// TestReloadClients reads the clients' file again: a new client is there, a
// broken file changes nothing, and the tokens of a client that was taken out
// are dead, also when it comes back.
func TestReloadClients(t *testing.T) {
	const good, bad = "SIGHUP: read the clients again", "SIGHUP: the clients stay as they were"
	path := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(path, []byte("["+wikiJSON+"]"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "PEERAGE_CLIENTS_FILE="+path)
	s.start(t)
	s.addUser(t, "grace")
	grace := s.newPerson(t, "grace")
	wiki := s.newRelyingParty(t, "wiki", "the secret of wiki", "RS256")
	blog := s.newRelyingParty(t, "blog", "the secret of blog", "RS256")
	token, _, _, _ := wiki.signIn(t, grace)

	s.reload(t, path, "["+wikiJSON+","+blogJSON+"]", good)
	blog.signIn(t, grace)
	for _, broken := range []string{"", "{", `[{"client_id":"wiki"}]`, "[" + wikiJSON + "," + wikiJSON + "]"} {
		s.reload(t, path, broken, bad)
	}
	token, err := wiki.refresh(t.Context(), token)
	if err != nil {
		t.Fatalf("refreshing after a broken file: %v", err)
	}
	wiki.userInfo(t, token)
	blog.signIn(t, grace)

	s.reload(t, path, "["+blogJSON+"]", good)
	_, err = wiki.refresh(t.Context(), token)
	refused(t, "a client that was taken out", err, "invalid_client", http.StatusUnauthorized)
	wiki.userInfoRefused(t, token)
	s.reload(t, path, "["+blogJSON+","+wikiJSON+"]", good)
	_, err = wiki.refresh(t.Context(), token)
	refused(t, "a client that came back", err, "invalid_grant", http.StatusBadRequest)
	wiki.userInfoRefused(t, token)
	if fresh, _, _, asked := wiki.signIn(t, grace); slices.Contains(asked, "sign-in") || fresh == nil {
		t.Errorf("signing in to a client that came back asked %v", asked)
	}
}

// userInfoRefused demands that an access token is dead.
func (rp *relyingParty) userInfoRefused(t *testing.T, token *oauth2.Token) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, rp.provider.UserInfoEndpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	token.SetAuthHeader(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("UserInfo: %v", err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized || !strings.Contains(response.Header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("UserInfo with a dead token answers %s, %q", response.Status, response.Header.Get("WWW-Authenticate"))
	}
}
