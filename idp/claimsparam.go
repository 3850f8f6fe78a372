package idp

import (
	"encoding/json"
	"slices"

	"peerage/identity"
)

// claimsRequest is the claims parameter (OIDC Core section 5.5): single claims
// asked for at either place, beside those of the scopes.
type claimsRequest struct {
	UserInfo map[string]*claimWish `json:"userinfo,omitempty"`
	IDToken  map[string]*claimWish `json:"id_token,omitempty"`
}

// claimWish is what the client wants of one claim; nil for "as it is".
type claimWish struct {
	Essential bool  `json:"essential,omitempty"`
	Value     any   `json:"value,omitempty"`
	Values    []any `json:"values,omitempty"`
}

const (
	maxClaimsParameter = 8 << 10
	maxClaimsWished    = 64
)

// parseClaims reads the parameter. Names that are not known are ignored; what
// is not of the right shape is refused, for it may have been essential.
func parseClaims(text string) (*claimsRequest, *Fault) {
	if text == "" {
		return nil, nil
	}
	var c claimsRequest
	if len(text) > maxClaimsParameter || json.Unmarshal([]byte(text), &c) != nil || len(c.UserInfo)+len(c.IDToken) > maxClaimsWished {
		return nil, faultf("invalid_request", "claims is not a JSON object as OpenID Connect Core section 5.5 has it")
	}
	return &c, nil
}

// accepts tells whether a claim of this value is what was asked for.
func (w *claimWish) accepts(value any) bool {
	if w == nil || w.Value == nil && len(w.Values) == 0 {
		return true
	}
	wanted := w.Values
	if w.Value != nil {
		wanted = append(slices.Clone(wanted), w.Value)
	}
	have, err := json.Marshal(value)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(wanted, func(v any) bool {
		want, err := json.Marshal(v)
		return err == nil && string(want) == string(have)
	})
}

// texts are the strings among the wanted values.
func (w *claimWish) texts() []string {
	if w == nil {
		return nil
	}
	var list []string
	for _, v := range append(slices.Clone(w.Values), w.Value) {
		if s, ok := v.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// acr are the classes that the ID token must have (essential) and those that
// are only wished for (OIDC Core section 5.5.1.1).
func (c *claimsRequest) acr() (essential, wished []string) {
	if c == nil {
		return nil, nil
	}
	w := c.IDToken["acr"]
	if w != nil && w.Essential {
		return w.texts(), nil
	}
	return nil, w.texts()
}

// sub is the person that the client means, "" for anybody.
func (c *claimsRequest) sub() string {
	if c == nil {
		return ""
	}
	for _, place := range []map[string]*claimWish{c.IDToken, c.UserInfo} {
		if texts := place["sub"].texts(); len(texts) == 1 {
			return texts[0]
		}
	}
	return ""
}

// scopes are those that would have brought the wished claims. The person is
// asked for them, and a client that may not have the scope does not get the
// claim.
func (c *claimsRequest) scopes(client *Client) []string {
	if c == nil {
		return nil
	}
	var list []string
	for _, place := range []map[string]*claimWish{c.IDToken, c.UserInfo} {
		for name := range place {
			if scope := scopeOfClaim[name]; scope != "" && slices.Contains(client.scopes(), scope) && !slices.Contains(list, scope) {
				list = append(list, scope)
			}
		}
	}
	slices.Sort(list)
	return list
}

// pick takes the wished claims out of all that are known.
func pick(wished map[string]*claimWish, client *Client, known map[string]any) map[string]any {
	picked := map[string]any{}
	for name, wish := range wished {
		value, ok := known[name]
		if ok && client.Claims[name] != "none" && slices.Contains(client.scopes(), scopeOfClaim[name]) && wish.accepts(value) {
			picked[name] = value
		}
	}
	return picked
}

// wishes are the claims that were asked for by name at a place.
func (g grant) wishes(where string) map[string]*claimWish {
	switch {
	case g.Claims == nil:
		return nil
	case where == "id_token":
		return g.Claims.IDToken
	}
	return g.Claims.UserInfo
}

// claimsAt are the claims of a person at a place: those that the scopes bring
// there, and those asked for by name.
func (c *Client) claimsAt(where string, u identity.User, g grant, scopes []string) map[string]any {
	claims := c.place(c.UserClaims(u, scopes), where)
	for name, value := range pick(g.wishes(where), c, c.UserClaims(u, scopesSupported)) {
		claims[name] = value
	}
	return claims
}
