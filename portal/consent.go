package portal

import (
	"fmt"
	"net/http"
	"slices"

	"peerage/idp"
)

// consentPage says who asks, what for, and what will really be sent.
func (p *Portal) consentPage(w http.ResponseWriter, r *http.Request) error {
	f, err := p.inFlight(r, p.browser(r))
	if err != nil {
		return err
	}
	if f == nil {
		return see(w, "/")
	}
	if f.Step != idp.Consent {
		return see(w, idp.ResumePath(f.ID))
	}
	page := &ConsentPage{Base: p.base(r, nil), Asker: asker(f), UserName: f.Visitor.User.Username, Request: f.ID, More: len(f.Consented) > 0}
	claims := f.Client.UserClaims(f.Visitor.User, f.ConsentScopes())
	for _, scope := range f.ConsentScopes() {
		share := shareOf(scope, claims)
		share.New = page.More && !slices.Contains(f.Consented, scope)
		if scope == "openid" {
			share.Values = []string{f.Visitor.User.Sub}
		}
		page.Shares = append(page.Shares, share)
	}
	return p.render.Render(w, http.StatusOK, page)
}

// shareOf takes the values of one scope out of the claims that will be sent.
func shareOf(scope string, claims map[string]any) Share {
	s := Share{Kind: ShareKindOf(scope), Scope: scope}
	switch s.Kind {
	case ShareProfile:
		for _, name := range []string{"name", "preferred_username"} {
			if value, ok := claims[name]; ok {
				s.Values = append(s.Values, fmt.Sprint(value))
			}
		}
	case ShareEmail:
		if email, ok := claims["email"].(string); ok {
			s.Values = []string{email}
			s.Verified, _ = claims["email_verified"].(bool)
		}
	case ShareGroups:
		s.Values, _ = claims["groups"].([]string)
	}
	return s
}

func (p *Portal) consent(w http.ResponseWriter, r *http.Request) error {
	f, err := p.inFlight(r, p.browser(r))
	if err != nil {
		return err
	}
	if f == nil {
		return see(w, "/")
	}
	p.provider.Decide(w, r, f, idp.Decision(r.PostForm.Get("decision")))
	return nil
}
