package portal

import (
	"errors"
	"net/http"
	"net/url"

	"peerage/identity"
	"peerage/idp"
)

// devicePage asks for the code that a device shows. One in the address only
// fills the field: nothing is looked up before a click, for a link can come
// from anybody (RFC 8628 section 5.4).
func (p *Portal) devicePage(w http.ResponseWriter, r *http.Request, _ identity.Visitor) error {
	page := &DevicePage{Base: p.base(r, nil)}
	if code, ok := idp.ReadUserCode(r.FormValue("user_code")); ok {
		page.UserCode = idp.ShowUserCode(code)
	}
	return p.render.Render(w, http.StatusOK, page)
}

// device takes the code, shows who asks for what, and takes the answer.
func (p *Portal) device(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	typed := r.PostForm.Get("user_code")
	again := func(err error) error {
		return p.again(w, r, nil, err, func(base Base) (Page, error) {
			return &DevicePage{Base: base, UserCode: typed[:min(len(typed), maxUserCode)]}, nil
		})
	}
	d, err := p.provider.DeviceRequest(r.Context(), v, typed)
	if err != nil {
		return again(err)
	}
	decision := idp.Decision(r.PostForm.Get("decision"))
	switch d.Step {
	case idp.Consent:
	case idp.NoAccess:
		base := p.base(r, nil)
		base.Fault = FaultNoAccess
		return p.render.Render(w, http.StatusForbidden, &NoAccessPage{Base: base, Asker: deviceAsker(d), Device: true, UserName: v.User.Username, Groups: d.Client.AllowedGroups})
	default:
		return see(w, stepPath(d.Step)+"?return="+url.QueryEscape(devicePath(d)))
	}
	if decision != idp.DecideAllow && decision != idp.DecideDeny || shownToAnother(r, v.User) {
		return p.render.Render(w, http.StatusOK, &DeviceConsentPage{Base: p.base(r, nil), Asker: deviceAsker(d), UserName: v.User.Username, UserCode: d.UserCode,
			Shares: shares(d.Client, v.User, d.Scopes, d.Consented)})
	}
	err = p.provider.AnswerDevice(r.Context(), v, d, decision == idp.DecideAllow)
	if errors.Is(err, identity.ErrNoSession) { // signed out in another tab just now
		return see(w, "/login?return="+url.QueryEscape(devicePath(d)))
	}
	if err != nil {
		return again(err)
	}
	return p.render.Render(w, http.StatusOK, &DeviceDonePage{Base: p.base(r, nil), Asker: deviceAsker(d), Allowed: decision == idp.DecideAllow})
}

// devicePath is the page of a device with its code filled in.
func devicePath(d *idp.DeviceRequest) string {
	return idp.PathDevice + "?user_code=" + url.QueryEscape(d.UserCode)
}

// deviceAsker names the application on the device. It has no address that
// anything goes to.
func deviceAsker(d *idp.DeviceRequest) *Asker {
	return NewAsker(d.Client.DisplayName(), d.Client.LogoURI, "")
}

// forDevice tells whether somebody comes from the page of a device, whose
// application may demand more than the house does.
func (p *Portal) forDevice(r *http.Request) bool {
	back, err := url.Parse(p.returnPath(r.FormValue("return")))
	return err == nil && back.Path == idp.PathDevice
}
