package portal

import "time"

// sampleAccount are the pages of a person's own account.
func sampleAccount(ada Base, s func(string) string) map[string]Page {
	with := func(fault string) Base { b := ada; b.Fault = fault; return b }
	wait := with(FaultThrottled)
	wait.RetryAfter = 40 * time.Second
	fields := func(current, fresh, repeat Sentence) []Field {
		fields := append([]Field{{Name: "current_password", Kind: FieldPassword, Label: Say("password.current"), Autocomplete: "current-password", Required: true}}, newPasswordFields()...)
		fields[0].Fault, fields[1].Fault, fields[2].Fault = current, fresh, repeat
		return fields
	}
	none := Sentence{}
	consents := []ConsentItem{
		{ClientID: s("grafana"), Name: s("Grafana"), Shares: sampleShares(s)[:4], Since: testNow.AddDate(0, -4, 0), LastUsed: testNow.Add(-3 * time.Minute)},
		{ClientID: s("forgejo"), Name: s("Forgejo"), Logo: testLogo, Shares: sampleShares(s), Since: testNow.AddDate(0, 0, -2)},
	}
	sessions := []SessionItem{
		{ID: s("a"), Browser: browserWords(firefoxOnLinux), Address: "2001:db8:1234:5678:9abc:def0:1234:5678", With: methodWords([]string{"pwd", "otp"}), Started: testNow.Add(-time.Hour), LastSeen: testNow, This: true},
		{ID: s("b"), Browser: browserWords("Mozilla/5.0 (iPhone) AppleWebKit/605 Version/17.5 Mobile/15E148 Safari/604.1"), Address: "192.0.2.7", With: methodWords([]string{"pwd"}), Started: testNow.AddDate(0, 0, -3), LastSeen: testNow.Add(-26 * time.Hour)},
		{ID: s("c"), Browser: browserWords(s("curl") + "/8.5"), Address: "198.51.100.9", Started: testNow.AddDate(0, 0, -3), LastSeen: testNow.Add(-26 * time.Hour)},
	}
	events := []ActivityItem{
		{Time: testNow.Add(-time.Minute), What: Say("event.consent_grant"), Application: s("Grafana"), Address: "192.0.2.7"},
		{Time: testNow.Add(-time.Hour), What: Say("event.login_failure"), Address: "198.51.100.9"},
		{Time: testNow.Add(-2 * time.Hour), What: Say("event.recovery_code_use"), Failed: true, Address: "2001:db8:1234:5678:9abc:def0:1234:5678"},
		{Time: testNow.AddDate(0, -1, 0), What: Say("event.admin_totp_reset")},
		{Time: testNow.AddDate(0, -1, 0), What: Say("event.other", "event", s("something_new")), Application: s("kubectl")},
	}
	return map[string]Page{
		"password":           &PasswordPage{Base: ada, Fields: fields(none, none, none), AskCode: true},
		"password-wrong":     &PasswordPage{Base: with(FaultWrongCredentials), Fields: fields(Say("fault.password"), none, none)},
		"password-code":      &PasswordPage{Base: with(FaultWrongCode), Fields: fields(none, none, none), AskCode: true},
		"password-breached":  &PasswordPage{Base: with(FaultPasswordBreached), Fields: fields(none, Say("fault.password_breached"), Say("fault.password_repeat"))},
		"password-throttled": &PasswordPage{Base: wait, Fields: fields(none, none, none)},
		"password-elsewhere": &PasswordPage{Base: ada, Elsewhere: Say("password.peeringdb")},
		"consents":           &ConsentsPage{Base: ada, Consents: consents, Done: DoneConsentRevoked},
		"consents-gone":      &ConsentsPage{Base: with(FaultNotFound), Consents: consents[:1]},
		"sessions":           &SessionsPage{Base: ada, Sessions: sessions, Done: DoneSessionEnded},
		"sessions-alone":     &SessionsPage{Base: ada, Sessions: sessions[:1], Done: DoneSessionsEnded},
		"sessions-gone":      &SessionsPage{Base: with(FaultNotFound), Sessions: sessions},
		"activity":           &ActivityPage{Base: ada, Events: events, Pager: Pager{Prev: "/identity/activity", Next: "/identity/activity?before=1"}},
	}
}

const firefoxOnLinux = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
