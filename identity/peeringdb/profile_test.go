package peeringdb_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"peerage/identity/peeringdb"
)

func sample(t testing.TB, name string) peeringdb.Profile {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "profile-"+name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := peeringdb.ParseProfile(body)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

// What a real PeeringDB answers, one sample for each case that breaks naive code.
func TestParseProfile(t *testing.T) {
	ok := peeringdb.Profile{ID: 4711, Name: "Ada Example", GivenName: "Ada", FamilyName: "Example", Email: "ada@example.net", VerifiedUser: true, VerifiedEmail: true,
		HasNetworks: true, Networks: []peeringdb.Network{{ASN: 64500, Name: "Example Networks", Perms: 15}, {ASN: 64501, Name: "Example Transit", Perms: 1}}, AMR: []string{"pwd", "otp", "mfa"}}
	changed := func(change func(*peeringdb.Profile)) peeringdb.Profile {
		p := ok
		change(&p)
		return p
	}
	for _, c := range []struct {
		name, sample string
		want         peeringdb.Profile
	}{
		{"everything", "ok", ok},
		{"E1 verified_user false", "unverified-user", changed(func(p *peeringdb.Profile) { p.VerifiedUser, p.Networks = false, nil })},
		{"E1 verified_email false", "unverified-email", changed(func(p *peeringdb.Profile) { p.VerifiedEmail = false })},
		{"E1 step 2 the address was not said", "scope-email-refused", changed(func(p *peeringdb.Profile) { p.VerifiedEmail, p.Email = false, "" })},
		{"E2 networks were not said", "scope-networks-refused", changed(func(p *peeringdb.Profile) { p.HasNetworks, p.Networks = false, nil })},
		{"E3 networks are none", "no-networks", changed(func(p *peeringdb.Profile) { p.Networks = nil })},
		{"E16 E6 hostile names and numbers", "hostile", changed(func(p *peeringdb.Profile) {
			p.Name, p.GivenName, p.FamilyName = "<script>alert(1)</script>", "../../x", "gnp.exe event=login_success"
			p.Networks, p.Dropped = []peeringdb.Network{{ASN: 64500, Name: "dup", Perms: 15}}, 7
		})},
		{"step 5 no name", "empty-name", changed(func(p *peeringdb.Profile) { p.Name, p.GivenName, p.FamilyName = "", "", "" })},
		{"P5 a closed account", "closed-account", peeringdb.Profile{ID: 4711, HasNetworks: true, AMR: []string{"pwd", "otp", "mfa"}}},
		{"P10 no second factor", "no-second-factor", changed(func(p *peeringdb.Profile) { p.VerifiedEmail, p.AMR = false, []string{"pwd"} })},
		{"P12 rights differ", "perms-differ", changed(func(p *peeringdb.Profile) {
			p.Networks = []peeringdb.Network{{ASN: 64500, Name: "Example Networks", Perms: 3}, {ASN: 64501, Name: "Example Two", Perms: 5},
				{ASN: 64502, Name: "Example Three", Perms: 9}, {ASN: 64503, Name: "Example Four", Perms: 1}}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := sample(t, c.sample)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("profile (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("E17 two hundred networks", func(t *testing.T) {
		if p := sample(t, "many-networks"); len(p.Networks) != 200 || p.Dropped != 0 {
			t.Errorf("%d networks, %d dropped", len(p.Networks), p.Dropped)
		}
	})
}

// E6: what is no AS number is dropped and counted, and counts for nobody.
func TestParseASN(t *testing.T) {
	for text, want := range map[string]bool{"1": true, "64500": true, "4200000000": true, "4294967294": true,
		"": false, "0": false, "-5": false, "064500": false, "+64500": false, " 64500": false, `"64500"`: false, "64500.0": false, "6.45e4": false, "null": false,
		"23456": false, "65535": false, "4294967295": false, "4294967296": false, "AS64500": false} {
		if _, ok := peeringdb.ParseASN(text); ok != want {
			t.Errorf("%q is an ASN: %t, want %t", text, ok, want)
		}
	}
}

func TestParseProfileFaults(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `"x"`, "{}", `{"id":"4711"}`, `{"id":0}`, `{"id":-1}`, `{"id":4711,"networks":{}}`, `{"id":4711,"networks":"x"}`, "<html>",
		`{"id":4711,"networks":[` + strings.Repeat("1,", 5000) + "1]}"} {
		if p, err := peeringdb.ParseProfile([]byte(body)); err == nil {
			t.Errorf("%.60s is a profile: %+v", body, p)
		}
	}
}

// E16: whatever comes, nothing that forges a line or hides text comes out, and
// the user name is one.
func FuzzParseProfile(f *testing.F) {
	files, err := filepath.Glob("testdata/profile-*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no samples", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := peeringdb.ParseProfile(body)
		if err != nil {
			return
		}
		names := []string{p.Name, p.GivenName, p.FamilyName, p.Email}
		for _, n := range p.Networks {
			names = append(names, n.Name)
			if _, ok := peeringdb.ParseASN(strings.TrimPrefix(peeringdb.Group(n.ASN), "as")); !ok {
				t.Errorf("as%d is no network", n.ASN)
			}
		}
		for _, name := range append(names, p.AMR...) {
			if strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) || len([]rune(name)) > 254 {
				t.Errorf("%q is not harmless", name)
			}
		}
		if !json.Valid(bytes.TrimSpace(body)) {
			t.Errorf("%q is no JSON", body)
		}
		for username := range peeringdb.Usernames(p) {
			if len(username) > 64 || strings.Trim(username, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" || strings.Contains(username, "..") || strings.Trim(username, ".-") != username {
				t.Errorf("%q is no user name", username)
			}
			break
		}
	})
}

// Step 5 and E7: IXP Manager's rule made safe.
func TestUsernames(t *testing.T) {
	first := func(name string, n int) (list []string) {
		for username := range peeringdb.Usernames(peeringdb.Profile{ID: 4711, Name: name}) {
			if list = append(list, username); len(list) == n {
				break
			}
		}
		return list
	}
	long := strings.Repeat("a", 70)
	for _, c := range []struct {
		name string
		want []string
	}{
		{"Ada Example", []string{"ada.example", "ada.example2", "ada.example3"}},
		{"  ", []string{"pdb-4711", "pdb-47112"}},
		{"Jürgen Müller", []string{"jurgen.muller"}},
		{"李小龙", []string{"pdb-4711"}},
		{"<script>alert(1)</script>", []string{"script.alert.1.script"}},
		{"../../etc/passwd", []string{"etc.passwd"}},
		{"-x-", []string{"x"}},
		{"Root", []string{"root2", "root3"}},
		{long, []string{long[:64], long[:63] + "2"}},
		{strings.Repeat("a", 63) + " b", []string{strings.Repeat("a", 63)}},
	} {
		if diff := cmp.Diff(c.want, first(c.name, len(c.want))); diff != "" {
			t.Errorf("user names of %q (-want +got):\n%s", c.name, diff)
		}
	}
}
