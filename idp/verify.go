package idp

import (
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// hint is what an id_token_hint proves.
type hint struct {
	Sub      string
	ClientID string
	Expired  bool
}

// verifyHint checks an ID token of ours: signature with the key it names and
// that key's algorithm, issuer, and that it is an ID token and not another
// kind of JWT. The library's verifier checks neither audience nor type and
// panics on aud:[1]; go-jose's does not. An expired hint is still a hint.
func (p *Provider) verifyHint(token string) (hint, bool) {
	if token == "" || len(token) > 16<<10 {
		return hint{}, false
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil || len(parsed.Headers) != 1 {
		return hint{}, false
	}
	header := parsed.Headers[0]
	if typ, ok := header.ExtraHeaders[jose.HeaderType].(string); ok && typ != "JWT" {
		return hint{}, false
	}
	key, ok := p.keys.ring.Load().public[header.KeyID]
	if !ok || key.Algorithm != header.Algorithm {
		return hint{}, false
	}
	var claims jwt.Claims
	if err := parsed.Claims(key.Key, &claims); err != nil {
		return hint{}, false
	}
	if claims.Issuer != p.Issuer || claims.Subject == "" || len(claims.Audience) != 1 || claims.Expiry == nil {
		return hint{}, false
	}
	return hint{claims.Subject, claims.Audience[0], claims.Expiry.Time().Before(p.now().Add(-time.Minute))}, true
}
