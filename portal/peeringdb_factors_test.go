package portal_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"peerage/identity"
	"peerage/identity/peeringdb"
)

// An ID token that does not say how somebody signed in leaves that to the profile,
// which was read with the token that came along.
func TestPeeringDBFactorsOfTheProfile(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var upstream string
	without := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			if err := json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}}); err != nil {
				t.Error(err)
			}
			return
		}
		if err := withoutMethods(w, r, upstream, key); err != nil {
			t.Error(err)
		}
	}))
	defer without.Close()
	s := newPeered(t, func(p *identity.PeeringDB) {
		config := p.Client.Config
		upstream, config.TokenURL, config.JWKSURL = config.TokenURL, without.URL, without.URL
		p.Client = peeringdb.NewClient(config, nil, time.Now)
	}, 64500)
	v, err := s.Directory.Visitor(t.Context(), cookie(t, s.member("ada"), "__Host-peerage"))
	if err != nil || v.Session.ACR != identity.ACRTwoFactors {
		t.Errorf("class %q by %v, %v", v.Session.ACR, v.Session.AMR, err)
	}
}

// withoutMethods passes a request for tokens on, and signs the ID token anew
// without amr.
func withoutMethods(w http.ResponseWriter, r *http.Request, upstream string, key *rsa.PrivateKey) error {
	answer, err := http.Post(upstream, r.Header.Get("Content-Type"), r.Body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var tokens, claims map[string]any
	if err := json.Unmarshal(body, &tokens); err != nil {
		return err
	}
	token, err := jwt.ParseSigned(tokens["id_token"].(string), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	if err := token.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return err
	}
	delete(claims, "amr")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		return err
	}
	if tokens["id_token"], err = jwt.Signed(signer).Claims(claims).Serialize(); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(tokens)
}
