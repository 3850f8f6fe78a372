package portal

import (
	"net/http"

	"peerage/identity"
	"peerage/store"
)

// adminPage shows the overview of the administration.
func (p *Portal) adminPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	o, err := p.store.Overview(r.Context())
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, &AdminPage{Base: p.base(r, &v), Numbers: []Number{
		{Label: Say("admin.people"), Value: o.People, Link: pathUsers},
		{Label: Say("admin.without_factor"), Value: o.WithoutFactor, Link: pathUsers + "?state=" + string(store.UsersWithoutFactor)},
		{Label: Say("admin.disabled"), Value: o.Disabled, Link: pathUsers + "?state=" + string(store.UsersDisabled)},
		{Label: Say("admin.groups"), Value: o.Groups, Link: pathGroups},
		{Label: Say("admin.clients"), Value: int64(p.clients.Count()), Link: pathClients},
		{Label: Say("admin.sessions"), Value: o.Sessions},
	}})
}
