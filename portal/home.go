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
		OneFactor: !v.User.HasSecondFactor(), Done: r.FormValue("done")}
	for _, c := range p.clients.ForUser(func(c *idp.Client) bool { return c.LaunchURI != "" && c.AllowsUser(v.User) }) {
		page.Applications = append(page.Applications, Application{Name: c.DisplayName(), Description: c.Description, Logo: c.LogoURI, LaunchURI: c.LaunchURI})
	}
	return p.render.Render(w, http.StatusOK, page)
}

// profile shows what is known of the person.
func (p *Portal) profile(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	page := p.profilePage(p.base(r, &v), v)
	page.Done = r.FormValue("done")
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) profilePage(base Base, v identity.Visitor) *ProfilePage {
	u := v.User
	return &ProfilePage{Base: base, UserName: u.Username, Name: u.Name, Email: u.Email,
		EmailVerified: u.EmailVerified, Groups: u.Groups, SecondFactor: u.HasSecondFactor(), LastSignIn: u.LastLoginAt, MayVerify: p.mayVerify(u)}
}

// mayVerify tells whether a person can prove their address by a mail.
func (p *Portal) mayVerify(u identity.User) bool {
	return p.directory.MailsPeople() && u.Email != "" && !u.EmailVerified
}
