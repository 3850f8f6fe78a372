package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
	"peerage/idp"
)

// consentsPage lists what applications may know of the person.
func (p *Portal) consentsPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	page, err := p.consentList(p.base(r, &v), r, v)
	if err != nil {
		return err
	}
	page.Done = r.FormValue("done")
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) consentList(base Base, r *http.Request, v identity.Visitor) (*ConsentsPage, error) {
	consents, err := p.provider.Consents(r.Context(), v.User)
	if err != nil {
		return nil, err
	}
	page := &ConsentsPage{Base: base}
	for _, c := range consents {
		item := ConsentItem{ClientID: c.ClientID, Name: c.ClientID, Since: c.GrantedAt, LastUsed: c.LastUsedAt}
		if client, ok := p.clients.Client(c.ClientID); ok {
			item.Name, item.Logo = client.DisplayName(), client.LogoURI
		}
		for _, scope := range c.Scopes {
			item.Shares = append(item.Shares, Share{Kind: ShareKindOf(scope), Scope: scope})
		}
		page.Consents = append(page.Consents, item)
	}
	return page, nil
}

// revokeConsent takes back what an application may know.
func (p *Portal) revokeConsent(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	err := p.provider.RevokeConsent(r.Context(), v.User, r.PostForm.Get("client_id"))
	if errors.Is(err, idp.ErrNoConsent) {
		base := p.base(r, &v)
		base.Fault = FaultNotFound
		page, err := p.consentList(base, r, v)
		if err != nil {
			return err
		}
		return p.render.Render(w, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return err
	}
	return see(w, "/identity/consents?done="+DoneConsentRevoked)
}
