package portal

import (
	"net/url"
	"time"

	"peerage/idp"
	"peerage/idp/recipe"
	"peerage/store"
)

// sampleClientPages are the administrators' pages about clients.
func sampleClientPages(base Base, s func(string) string) map[string]Page {
	p := &Portal{now: func() time.Time { return testNow }}
	grafana := store.Client{ClientID: s("grafana"), Name: s("Grafana"), Description: s("Graphs and alerts"), RedirectURIs: []string{s("https://grafana.example.net/login/generic_oauth")},
		LaunchURI: s("https://grafana.example.net/"), AllowedGroups: []string{s("noc")}, Claims: map[string]string{"groups": "both"}, Roles: []store.Role{{Role: s("viewer"), Groups: []string{s("noc")}}},
		ClientSecretHash: "sha256:00", OldSecretHash: "sha256:00", OldSecretUntil: testNow.Add(time.Hour), Source: store.SourceStore, Version: 3, AccessTokenTTL: store.Duration(5 * time.Minute)}
	system := grafana
	system.Source = store.SourceSettings
	disabled := grafana
	disabled.Disabled = true
	conflict := base
	conflict.Fault = FaultConflict
	faults := map[string][]string{"redirect_uris": {`"` + s("x") + `" must use https`}, "name": {"is too long"}, "username": {"is nobody's user name"}, "keep_old": {"must be one of these"}}
	saved := p.showClient(base, grafana, clientValues(grafana), nil)
	saved.Done = Say("client.done.saved")
	refused := p.showClient(base, system, clientValues(system), nil)
	refused.Refused = Say("client.refused.system")
	chosen, _ := recipe.Find("forgejo")
	cards := &RecipesPage{Base: base}
	for _, r := range recipe.All() {
		cards.Recipes = append(cards.Recipes, RecipeCard{Title: r.Title, About: r.About, Link: "/admin/clients?recipe=" + r.Name})
	}
	return map[string]Page{
		"clients": &ClientsPage{Base: base, Search: s("gra"), Total: 3, Pager: Pager{Prev: "/admin/clients", Next: "/admin/clients?page=3"}, Done: "deleted", Clients: []ClientRow{
			{ID: s("grafana"), Name: s("Grafana"), Link: "/admin/clients/grafana", Kind: kindOfClient(grafana), Groups: []string{s("noc"), s("admins")}},
			{ID: s("kubernetes"), Link: "/admin/clients/kubernetes", Kind: kindOfClient(store.Client{ApplicationType: "native"}), System: true, Disabled: true}}},
		"clients-none":       &ClientsPage{Base: base, Search: s("nothing")},
		"recipes":            cards,
		"recipe":             recipeForm(base, chosen, url.Values{}, nil),
		"recipe-wrong":       recipeForm(base, chosen, url.Values{"url": {s("x")}, "client_id": {s("y")}}, map[string][]string{"url": {"must be an address"}, "client_id": {"is taken"}}),
		"client":             saved,
		"client-wrong":       p.showClient(base, grafana, url.Values{"redirect_uris": {s("x")}, "username": {s("nobody")}}, faults),
		"client-conflict":    p.showClient(conflict, grafana, clientValues(grafana), nil),
		"client-system":      refused,
		"client-disabled":    p.showClient(base, disabled, clientValues(disabled), nil),
		"client-new":         newClientPage(base, s("grafana"), clientValues(store.Client{}), map[string][]string{"client_id": {"is taken by another client"}}),
		"client-ask":         askAboutClient(base, grafana, "delete"),
		"client-ask-disable": askAboutClient(base, grafana, "disable"),
		"client_secret": &ClientSecretPage{Base: base, ID: s("grafana"), Name: s("Grafana"), Link: "/admin/clients/grafana", Made: true, Secret: "secret-secret",
			Steps: []RecipeStep{{"Put this into grafana.ini", "[auth]\nx = y"}}, Notes: []string{"A note"}},
		"client_secret-rotated": &ClientSecretPage{Base: base, ID: s("grafana"), Link: "/admin/clients/grafana", Secret: "secret-secret", OldUntil: "2026-03-20 09:12 UTC"},
		"client_test_result": &ClientTestPage{Base: base, ID: s("grafana"), Name: s("Grafana"), Link: "/admin/clients/grafana", UserName: s("ada"), Scopes: []string{"openid", s("groups")},
			Warnings: []Sentence{warningSentence(idp.WarnNoAccess, grafana), warningSentence(idp.WarnTooLarge, grafana)}, IDToken: clipLong(s("{}")), UserInfo: clipLong(s("{}")), IDTokenBytes: 812, UserInfoBytes: 300, SessionBytes: 5000, Groups: 12, Again: personField(s("ada"), nil)},
		"client_test_result-good": &ClientTestPage{Base: base, ID: s("grafana"), Link: "/admin/clients/grafana", UserName: s("ada"), Again: personField(s("ada"), nil)},
	}
}
