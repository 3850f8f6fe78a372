package portal

import (
	"cmp"
	"net/http"

	"peerage/identity"
	"peerage/idp"
)

// home lists the applications that the person may open.
func (p *Portal) home(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	page := &HomePage{Base: p.base(r, &v), Name: cmp.Or(v.User.GivenName, v.User.Name, v.User.Username),
		OneFactor: !v.User.HasSecondFactor() && v.Session.ACR == identity.ACROneFactor, Done: r.FormValue("done")}
	var err error
	if page.Password, err = p.directory.HasPassword(r.Context(), v.User); err != nil {
		return err
	}
	if page.News, err = p.networkNews(r, v.User); err != nil {
		return err
	}
	for _, c := range p.clients.ForUser(func(c *idp.Client) bool { return c.LaunchURI != "" && c.AllowsUser(v.User) }) {
		page.Applications = append(page.Applications, Application{Name: c.DisplayName(), Description: c.Description, Logo: c.LogoURI, LaunchURI: c.LaunchURI})
	}
	return p.render.Render(w, http.StatusOK, page)
}
