package recipe

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerage/idp"
	"peerage/store"
)

var update = flag.Bool("update", false, "write testdata and docs/clients.md anew")

const (
	testIssuer = "https://id.example.net"
	testSecret = "SECRET-OF-THE-CLIENT"
	testRandom = "RANDOM-TEXT-OF-32-BYTES-OR-MORE"
	testULID   = "01JD9Q7W3K5Z8Y2X4V6T0R1N3M"
)

// fixed gives the client's secret first and then other random texts.
func fixed() chance {
	given := false
	return chance{ulid: func() string { return testULID }, secret: func() string {
		if !given {
			given = true
			return testSecret
		}
		return testRandom
	}}
}

// example is the order that a recipe's own examples and defaults make.
func example(r Recipe) Order {
	o := Order{Issuer: testIssuer, URL: r.URL.Example, Values: map[string]string{}}
	for _, in := range r.Inputs {
		if in.Default == "" {
			o.Values[in.Name] = in.Example
		}
	}
	return o
}

func mustMake(t *testing.T, r Recipe, o Order) Made {
	t.Helper()
	made, err := r.make(o, fixed())
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	return made
}

// shown is a client as JSON, without its secret.
func shown(t *testing.T, c store.Client) string {
	t.Helper()
	c.ClientSecretHash = ""
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(c); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Each recipe makes exactly the client and the configuration of its file in
// testdata; go test ./idp/recipe -update writes them anew, to be read.
func TestRecipes(t *testing.T) {
	for _, name := range append(Names(), "gitea") {
		t.Run(name, func(t *testing.T) {
			r, ok := Find(name)
			if !ok {
				t.Fatal("there is no such recipe")
			}
			made := mustMake(t, r, example(r))
			if err := idp.CheckClient(made.Client); err != nil {
				t.Errorf("its client cannot be registered: %v", err)
			}
			golden(t, filepath.Join("testdata", name+".txt"), told(t, made))
		})
	}
}

func told(t *testing.T, made Made) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "client:\n%s", shown(t, made.Client))
	for _, s := range made.Steps {
		fmt.Fprintf(&out, "\nstep: %s\n%s\n", s.Title, s.Text)
	}
	for _, n := range made.Notes {
		fmt.Fprintf(&out, "\nnote: %s\n", n)
	}
	return out.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// What applications demand of us, as measured: each is a way in which a
// recipe broke an application before.
func TestRecipesGiveWhatApplicationsDemand(t *testing.T) {
	client := func(name string) store.Client {
		r, _ := Find(name)
		return mustMake(t, r, example(r)).Client
	}
	steps := func(name string) string {
		r, _ := Find(name)
		return told(t, mustMake(t, r, example(r)))
	}
	if c := client("forgejo"); c.RequirePKCE == nil || *c.RequirePKCE {
		t.Error("Forgejo sends no PKCE")
	}
	if c := client("netbox"); c.TokenEndpointAuthMethod != "" || !slices.Equal(c.RedirectURIs, []string{"https://netbox.example.net/oauth/complete/oidc/"}) {
		t.Error("NetBox changes its method between code and refresh, and its address ends in a slash")
	}
	if c := client("proxmox"); !slices.Equal(c.RedirectURIs, []string{"https://pve.example.net:8006"}) {
		t.Errorf("Proxmox VE's address has no path and no slash: %q", c.RedirectURIs)
	}
	for _, name := range []string{"kubernetes", "incus"} {
		if c := client(name); c.TokenEndpointAuthMethod != "none" || !slices.Contains(c.GrantTypes, "urn:ietf:params:oauth:grant-type:device_code") {
			t.Errorf("%s is public and needs the device grant", name)
		}
	}
	if c := client("kubernetes"); c.Claims["groups"] != "id_token" || c.IDTokenSignedResponseAlg != "RS256" {
		t.Error("kube-apiserver reads the ID token alone and knows no EdDSA")
	}
	if c := client("grafana"); c.Claims["groups"] != "both" {
		t.Error("Grafana asks the ID token for the role first")
	}
	if c := client("incus"); c.AccessTokenFormat != "jwt" || !slices.Contains(c.Audience, c.ClientID) || len(c.AllowedGroups) == 0 {
		t.Error("Incus wants a JWT for its audience, and lets everybody do everything")
	}
	if c := client("apache"); c.BackchannelLogoutURI != "https://www.example.net/members/oidc-callback?logout=backchannel" {
		t.Errorf("Apache is told of sign-outs at %s", c.BackchannelLogoutURI)
	}
	for _, name := range Names() {
		if issuerSlash := regexp.MustCompile(regexp.QuoteMeta(testIssuer) + `/["'\s]`); issuerSlash.MatchString(steps(name)) {
			t.Errorf("%s: a slash behind the issuer stops most applications", name)
		}
	}
}

// All addresses of a client lie below the one that was given.
func TestAddressesStayWithTheApplication(t *testing.T) {
	for _, r := range All() {
		o := example(r)
		made := mustMake(t, r, o)
		c := made.Client
		for _, address := range append(append(slices.Clone(c.RedirectURIs), c.PostLogoutRedirectURIs...), c.LaunchURI, c.BackchannelLogoutURI) {
			origin := regexp.MustCompile(`^https://[^/]+`).FindString(o.URL)
			if address != "" && address != origin && !strings.HasPrefix(address, origin+"/") && !strings.HasPrefix(address, "http://localhost:") {
				t.Errorf("%s: %q does not belong to %s", r.Name, address, o.URL)
			}
		}
	}
}

func TestWhatARecipeRefuses(t *testing.T) {
	forgejo, _ := Find("forgejo")
	for _, c := range []struct {
		name  string
		order Order
		field string
	}{
		{"no address", Order{}, "url"},
		{"a script", Order{URL: "javascript:alert(1)"}, "url"},
		{"data", Order{URL: "data:text/html,x"}, "url"},
		{"plain http", Order{URL: "http://git.example.net"}, "url"},
		{"http to a host that only begins like loopback", Order{URL: "http://localhost.evil.example"}, "url"},
		{"user name", Order{URL: "https://git.example.net@evil.example"}, "url"},
		{"query", Order{URL: "https://git.example.net/?x=1"}, "url"},
		{"fragment", Order{URL: "https://git.example.net/#x"}, "url"},
		{"a shell's command", Order{URL: "https://git.example.net/$(id)"}, "url"},
		{"a quote", Order{URL: "https://git.example.net/'"}, "url"},
		{"a line end", Order{URL: "https://git.example.net/\nx = 1"}, "url"},
		{"an encoded line end", Order{URL: "https://git.example.net/%0ax"}, "url"},
		{"a backslash", Order{URL: `https://git.example.net\@evil.example`}, "url"},
		{"up and away", Order{URL: "https://git.example.net/a/../.."}, "url"},
		{"two slashes", Order{URL: "https://git.example.net//evil.example"}, "url"},
		{"other letters", Order{URL: "https://gít.example.net"}, "url"},
		{"a port without a number", Order{URL: "https://git.example.net:"}, "url"},
		{"a hostile id", Order{ID: "x y; rm -rf /"}, "client_id"},
		{"a hostile source", Order{Values: map[string]string{"source": "../../evil"}}, "source"},
		{"a hostile group", Order{Values: map[string]string{"admin_group": "a'; rm -rf /"}}, "admin_group"},
		{"a group of an affiliation", Order{Values: map[string]string{"admin_group": "as64500"}}, "admin_group"},
		{"what is not asked", Order{Values: map[string]string{"colour": "red"}}, "colour"},
	} {
		o := c.order
		if o.Issuer = testIssuer; o.URL == "" && c.field != "url" {
			o.URL = "https://git.example.net"
		}
		_, err := forgejo.Make(o)
		if faults := idp.FieldErrors(err); len(faults) != 1 || len(faults[c.field]) != 1 {
			t.Errorf("%s: the faults are %v, want one of %s", c.name, faults, c.field)
		}
	}
	// Who administers is never decided by PeeringDB alone, who is let in may be.
	proxy, _ := Find("oauth2-proxy")
	if _, err := proxy.Make(Order{Issuer: testIssuer, URL: "https://app.example.net", Values: map[string]string{"group": "as64500", "upstream": "http://127.0.0.1:8000"}}); err != nil {
		t.Errorf("an application for the members of a network: %v", err)
	}
	proxmox, _ := Find("proxmox")
	if _, err := proxmox.Make(Order{Issuer: testIssuer, URL: "https://pve.example.net:8006/pve"}); idp.FieldErrors(err)["url"] == nil {
		t.Errorf("a path for Proxmox VE gives %v", err)
	}
	mas, _ := Find("mas")
	if _, err := mas.Make(Order{Issuer: testIssuer, URL: "https://m.example.net", Values: map[string]string{"provider_id": "1"}}); idp.FieldErrors(err)["provider_id"] == nil {
		t.Errorf("a provider that is no ULID gives %v", err)
	}
	if _, err := forgejo.Make(Order{Issuer: "https://id.example.net/?x", URL: "https://git.example.net"}); err == nil {
		t.Error("any issuer is written into configurations")
	}
}

func TestAddressesInTheirOneForm(t *testing.T) {
	r, _ := Find("grafana")
	for given, want := range map[string]string{
		" https://grafana.example.net/ ":      "https://grafana.example.net",
		"https://www.example.net/grafana":     "https://www.example.net/grafana",
		"https://www.example.net:8443/a/b-c/": "https://www.example.net:8443/a/b-c",
		"http://localhost:3000":               "http://localhost:3000",
		"http://127.0.0.1:3000/":              "http://127.0.0.1:3000",
		"http://[::1]:3000":                   "http://[::1]:3000",
		"https://[2001:db8::1]":               "https://[2001:db8::1]",
	} {
		made, err := r.Make(Order{Issuer: testIssuer, URL: given})
		if err != nil {
			t.Errorf("%q: %v", given, err)
		} else if made.Client.RedirectURIs[0] != want+"/login/generic_oauth" {
			t.Errorf("%q becomes %q", given, made.Client.RedirectURIs[0])
		}
	}
}

// What cannot get through the checks would be quoted all the same.
func TestQuoting(t *testing.T) {
	if got := shellWord("a'b", " $(id)"); got != `'a'\''b $(id)'` {
		t.Errorf("a shell gets %s", got)
	}
	if got, err := quote("a\"b\\\n<c>"); err != nil || got != `"a\"b\\\n<c>"` {
		t.Errorf("YAML gets %s, %v", got, err)
	}
	for _, bad := range []string{"a\nb", `a"b`, "${HOME}", "$__env{HOME}", "a;b", "a#b", " a", "%(name)s"} {
		if got, err := iniValue(bad); err == nil {
			t.Errorf("INI gets %s", got)
		}
		if got, err := apacheWord(bad); err == nil && bad != " a" {
			t.Errorf("Apache gets %s", got)
		}
	}
}

func TestSecretIsNewAndKeptAsHash(t *testing.T) {
	r, _ := Find("grafana")
	o := example(r)
	first, err := r.Make(o)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.Make(o)
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(first.Client)
	if err != nil {
		t.Fatal(err)
	}
	if first.Secret == second.Secret || len(first.Secret) != 43 || strings.Contains(string(document), first.Secret) || first.Client.ClientSecretHash != idp.HashClientSecret(first.Secret) {
		t.Errorf("the secrets %q and %q, the client %s", first.Secret, second.Secret, document)
	}
	for _, r := range All() {
		// One secret in 64 begins with a dash.
		for _, s := range mustMake(t, r, example(r)).Steps {
			if strings.Contains(s.Text, " "+testSecret) && strings.Contains(s.Text, "--") {
				t.Errorf("%s: a secret that begins with a dash is read as a flag in %q", r.Name, s.Text)
			}
		}
	}
	kubernetes, _ := Find("kubernetes")
	public, err := kubernetes.Make(example(kubernetes))
	if err != nil || public.Secret != "" || public.Client.ClientSecretHash != "" {
		t.Errorf("a public client has the secret %q (%v)", public.Secret, err)
	}
}

func TestNewULID(t *testing.T) {
	first, second := newULID(), newULID()
	if !ulidShape.MatchString(first) || first == second || first[:8] != second[:8] {
		t.Errorf("ULIDs %s and %s", first, second)
	}
}

func TestBrokenRecipesAreFound(t *testing.T) {
	const good = "-- recipe --\n{\"title\": \"A\"}\n-- client --\n{}\n-- step Do it. --\nx\n"
	if _, err := parse("a", good); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":       "",
		"no section":  "x\n" + good,
		"no client":   strings.Replace(good, "-- client --\n{}\n", "", 1),
		"no step":     strings.Replace(good, "-- step Do it. --\nx\n", "", 1),
		"bad head":    strings.Replace(good, `"title"`, `"titel"`, 1),
		"no function": strings.Replace(good, "x\n", "{{nothing}}\n", 1),
	} {
		if _, err := parse("a", text); err == nil {
			t.Errorf("%s: it passes", name)
		}
	}
	r, err := parse("a", strings.Replace(good, "{}\n", "{\"colour\": 1}\n", 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Make(Order{Issuer: testIssuer, URL: "https://a.example.net"}); err == nil {
		t.Error("a client with an unknown field is made")
	}
}
