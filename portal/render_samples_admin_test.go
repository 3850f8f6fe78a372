package portal

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
