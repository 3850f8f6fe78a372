package idp

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"peerage/store"
)

// bareProvider is as much of a Provider as reading parameters needs.
func bareProvider() *Provider {
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	keys := &KeyRing{now: now}
	keys.ring.Store(&ring{public: map[string]jose.JSONWebKey{}})
	clients := &Clients{}
	no := false
	clients.now.Store(&clientSet{byID: map[string]*Client{
		"web":  newClient(store.Client{ClientID: "web", ClientSecretHash: HashClientSecret("x"), RedirectURIs: []string{"https://web.example.net/cb"}, RequirePKCE: &no}),
		"kube": newClient(store.Client{ClientID: "kube", TokenEndpointAuthMethod: "none", ApplicationType: "native", RedirectURIs: []string{"http://localhost/cb"}}),
	}})
	return &Provider{Config: Config{Issuer: "https://ix.example.net"}, clients: clients, keys: keys, now: now}
}

// Whatever a stranger sends: where the answer may go is the client's own
// address, what is accepted is within its bounds and survives being stored.
func FuzzAuthorizeParameters(f *testing.F) {
	challenge := "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
	for _, seed := range []string{
		"client_id=web&redirect_uri=https://web.example.net/cb&response_type=code&scope=openid&state=s&nonce=n",
		"client_id=kube&redirect_uri=http://localhost:9/cb&response_type=code&scope=openid+openid+x&prompt=login+consent&max_age=0" + challenge,
		"client_id=kube&redirect_uri=http://localhost%23@evil.example/&response_type=code",
		"client_id=web&redirect_uri=https://web.example.net/cb&response_type=code&scope=openid&state=%ff%fe",
		"client_id=web&client_id=kube", "client_id=web&redirect_uri=https://web.example.net/cb&response_mode=form_post&request=x",
		"client_id=web&redirect_uri=https://web.example.net/cb&id_token_hint=a.b.c&acr_values=2&login_hint=%00",
		"client_id=web&redirect_uri=https://web.example.net/cb&code_challenge=x&code_challenge_method=plain&max_age=-1",
	} {
		f.Add(seed)
	}
	p := bareProvider()
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		client, a, refused := p.parseAddress(form)
		if refused != nil {
			if a != nil || refused.Code == "" {
				t.Fatalf("refused with %+v and a request", refused)
			}
			return
		}
		location, err := url.Parse(a.RedirectURI)
		if err != nil || !matchRedirectURI(client.Client.RedirectURIs, client.native(), a.RedirectURI) {
			t.Fatalf("the answer would go to %q", a.RedirectURI)
		}
		if host := location.Hostname(); host != "web.example.net" && host != "localhost" {
			t.Fatalf("the answer would go to the host %q", host)
		}
		fault := p.parseAuthorize(client, form, a)
		if fault != nil {
			if fault.Code == "" || strings.ContainsFunc(fault.Description, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
				t.Fatalf("fault %q %q is no RFC 6749 error", fault.Code, fault.Description)
			}
			return
		}
		for name, values := range form {
			if len(values) > 1 {
				t.Fatalf("two %q are accepted", name)
			}
		}
		if form.Get("response_type") != "code" || len(a.Scopes) == 0 || client.public() && len(a.CodeChallenge) != 43 || a.State != form.Get("state") {
			t.Fatalf("accepted %+v of %v", a, form)
		}
		sorted := slices.Sorted(slices.Values(a.Scopes))
		if len(slices.Compact(sorted)) != len(a.Scopes) {
			t.Fatalf("scopes %v", a.Scopes)
		}
		written, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var read AuthRequest
		if err := json.Unmarshal(written, &read); err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(read)
		if read.State != a.State || read.Nonce != a.Nonce || read.LoginHint != a.LoginHint || string(again) != string(written) || !reflect.DeepEqual(read.Scopes, a.Scopes) {
			t.Fatalf("%+v is stored and read as %+v", a, read)
		}
	})
}
