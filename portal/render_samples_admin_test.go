package portal

import (
	"time"

	"peerage/identity"
	"peerage/store"
)

func sampleNumbers() []Number {
	return []Number{
		{Label: Say("admin.people"), Value: 1204, Link: "/admin/users"}, {Label: Say("admin.without_factor"), Value: 17, Link: "/admin/users?state=no-factor"},
		{Label: Say("admin.disabled"), Value: 3}, {Label: Say("admin.sessions"), Value: 211},
	}
}

func sampleAsk(base Base, s func(string) string) *AskPage {
	return &AskPage{Base: base, Place: "/admin", Title: Say("home.title", "user", s("ada")), Text: Say("done.second_factor_removed.text"),
		Consequences: []Sentence{Say("done.second_factor_added.text"), Say("home.factor.text")},
		Action:       "/admin", Fields: []Hidden{{"version", "1"}}, Button: Hidden{"action", "delete"}, Submit: Say("totp.remove.submit"), Back: "/admin",
		Choices: []Field{{Name: "consents", Kind: FieldCheckbox, Label: Say("consent.title", "application", s("Grafana")), Hint: Say("consent.note")}}}
}

// sampleAdmin are the pages of the administration in every state worth seeing.
func sampleAdmin(base Base, s func(string) string) map[string]Page {
	with := func(fault string) Base { b := base; b.Fault = fault; return b }
	people := []PersonRow{
		{Sub: "6f1c", UserName: s("ada"), Name: s("Ada Example"), Email: s("ada@example.net"), Origin: Say("origin.openbao"), SecondFactor: true, LastSignIn: testNow.Add(-3 * time.Hour)},
		{Sub: "7a2d", UserName: s("bengt.berg"), Name: s("Bengt Berg"), Email: s("bengt@nordic.example"), Origin: Say("origin.peeringdb"), LastSignIn: testNow.Add(-90 * 24 * time.Hour)},
		{Sub: "8b3e", UserName: s("dario"), Name: s("Dario Díaz"), Origin: Say("origin.local"), Disabled: true, Locked: true},
	}
	search := Field{Name: "q", Kind: FieldSearch, Label: Say("users.search"), Value: s("exa")}
	state := Field{Name: "state", Kind: FieldSelect, Label: Say("users.state"), Value: "no-factor", Options: userStates}
	pager := Pager{Prev: "/admin/users", Next: "/admin/users?page=3", Status: Say("users.total", "n", int64(1204))}
	boxes := []Field{{Name: "groups", ID: "group-0", Kind: FieldCheckbox, Label: Say("groups.one", "group", s("admins")), Value: "admins", On: true},
		{Name: "groups", ID: "group-1", Kind: FieldCheckbox, Label: Say("groups.one", "group", s("noc")), Value: "noc"}}
	typed := userForm{username: s("Ada Example"), name: s("Ada"), email: s("nonsense"), verified: true, faults: map[string]Sentence{}}
	wrong := typed
	wrong.faults = map[string]Sentence{"username": Say("user.fault.taken", "user", s("ada")), "email": Say("user.fault.email")}
	facts := PersonFacts{PersonRow: people[0], EmailVerified: true, Admin: true, Groups: []string{s("admins"), s("noc"), s("as64500")}, Created: testNow.AddDate(-1, 0, 0)}
	user := func(b Base) *UserPage {
		return &UserPage{Base: b, Person: facts, Version: 4, Fields: typed.fields(), Groups: boxes, Network: networkField(), Suspended: true,
			Networks: []NetworkRow{{ASN: "64500", Name: s("Example Networks"), Origin: originWords("peeringdb"), Since: testNow.AddDate(0, -1, 0), MayUpdate: true},
				{ASN: "4200000001", Origin: originWords("admin"), Since: testNow.Add(-time.Hour), ByHand: true}},
			Sessions: []SessionRow{{Browser: s("Mozilla/5.0 (X11; Linux x86_64)"), IP: "2001:db8::17", SignedIn: testNow.Add(-time.Hour), Seen: testNow.Add(-time.Minute)}},
			Consents: []ConsentRow{{Application: s("Grafana"), Scopes: []string{s("openid"), s("groups")}, Granted: testNow.AddDate(0, -1, 0)}},
			Events:   []EventRow{{Time: testNow.Add(-time.Hour), Event: "login_success", IP: "2001:db8::17", Result: "success"}, {Time: testNow.Add(-2 * time.Hour), Event: "user_update", IP: "192.0.2.1", Result: "success", Detail: s("fields=name by=bengt")}}}
	}
	linked, bare, changed, last := user(base), &UserPage{Base: base, Person: PersonFacts{PersonRow: people[2], NeedsLink: true}, Fields: typed.fields(), Network: networkField(), Done: "user_disabled"}, user(with(FaultConflict)), user(with(FaultLastAdministrator))
	linked.Link = &OneTimeLink{URL: "https://id.example.net/recover/dG9rZW4dG9rZW4dG9rZW4dG9rZW4dG9rZW4dG9rZW4", Expires: testNow.Add(24 * time.Hour), For: Say("link.factor")}
	refused := user(with(FaultForm))
	refused.Fields, refused.Refused = wrong.fields(), Say("user.fault.disabled")
	groups := []GroupRow{{Name: s("admins"), Link: "/admin/groups?group=admins", Members: 2, Admins: true}, {Name: s("noc"), Link: "/admin/groups?group=noc", Members: 12040, Created: testNow.AddDate(0, -2, 0)}}
	results := []ImportRow{{Row: 3, UserName: s("a b"), Error: s("the user name must be 1 to 64 letters")}, {Row: 2, UserName: s("ada")}}
	file := importField(Sentence{})
	return map[string]Page{
		"admin_users":       &UsersPage{Base: base, Search: search, State: state, People: people, Total: 1204, Pager: pager},
		"admin_users-none":  &UsersPage{Base: base, Search: search, State: state, Done: "user_deleted", Away: true},
		"admin_user_new":    &NewUserPage{Base: base, Fields: append([]Field{typed.usernameField()}, typed.fields()...), Groups: boxes},
		"admin_user_new-no": &NewUserPage{Base: with(FaultForm), Fields: append([]Field{wrong.usernameField()}, wrong.fields()...), Groups: boxes},
		"admin_user":        user(base), "admin_user-link": linked, "admin_user-bare": bare, "admin_user-conflict": changed, "admin_user-last": last, "admin_user-wrong": refused,
		"admin_groups":        &GroupsPage{Base: base, Groups: groups, Name: Field{Name: "group", Label: Say("groups.name"), Hint: Say("groups.name.hint")}},
		"admin_groups-taken":  &GroupsPage{Base: with(FaultForm), Groups: groups, Name: Field{Name: "group", Label: Say("groups.name"), Value: s("noc"), Fault: Say("groups.fault.taken")}},
		"admin_group":         &GroupPage{Base: base, Group: groups[1], Members: people, Pager: pager, Person: Field{Name: "username", Label: Say("users.username")}, Done: "member_added"},
		"admin_group-last":    &GroupPage{Base: with(FaultLastAdministrator), Group: groups[0], Members: people[:1], Person: Field{Name: "username", Label: Say("users.username"), Value: s("eve"), Fault: Say("groups.fault.nobody")}},
		"admin_import":        &ImportPage{Base: base, File: file},
		"admin_import-dry":    &ImportPage{Base: base, File: file, Results: results, Good: 1, Failed: 1, More: 3, CSV: s("username\nada\n")},
		"admin_import-done":   &ImportPage{Base: base, File: file, Results: results[1:], Good: 1, Done: true},
		"admin_import-broken": &ImportPage{Base: with(FaultForm), File: importField(Say("import.fault.file", "fault", s("not UTF-8")))},
		"ask-delete":          askPage(base, s, "delete"), "ask-sign-out": askPage(base, s, "sign-out"), "ask-reset": askPage(base, s, "reset-mfa"), "ask-disable": askPage(base, s, "disable"),
	}
}

func askPage(base Base, s func(string) string, action string) *AskPage {
	page := askUser(identity.User{User: store.User{Sub: "6f1c", Username: s("ada")}}, action)
	page.Base = base
	return page
}
