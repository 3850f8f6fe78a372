package portal

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"peerage/identity"
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
	page.Shares = shares(f.Client, f.Visitor.User, f.ConsentScopes(), f.Consented)
	return p.render.Render(w, http.StatusOK, page)
}

// shares are what a client would receive of a person for those scopes. What is
// new is marked when something was consented to before.
func shares(client *idp.Client, user identity.User, scopes, consented []string) (list []Share) {
	claims := client.UserClaims(user, scopes)
	for _, scope := range scopes {
		share := shareOf(scope, user, claims)
		share.New = len(consented) > 0 && !slices.Contains(consented, scope)
		if scope == "openid" {
			share.Values = []string{user.Sub}
		}
		list = append(list, share)
	}
	return list
}

// shareOf takes the values of one scope out of the claims that will be sent.
func shareOf(scope string, user identity.User, claims map[string]any) Share {
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
	case ShareNetworks:
		for _, n := range user.Networks {
			s.Values = append(s.Values, strings.TrimSpace(fmt.Sprintf("AS%d %s", n.ASN, n.Name)))
		}
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
	if f.Visitor != nil && shownToAnother(r, f.Visitor.User) {
		return see(w, idp.ResumePath(f.ID))
	}
	p.provider.Decide(w, r, f, idp.Decision(r.PostForm.Get("decision")))
	return nil
}

// shownToAnother tells whether a form names somebody else than u as the person
// whom its page was shown to: another signed in with the browser meanwhile, and
// one person's answer does not count for another.
func shownToAnother(r *http.Request, u identity.User) bool {
	shown := r.PostForm.Get("person")
	return shown != "" && shown != u.Username
}
