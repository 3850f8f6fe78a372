package portal

import (
	"time"

	"peerage/identity"
	"peerage/store"
)

func sampleKeys(base Base) *KeysPage {
	days := func(n int) time.Time { return testNow.AddDate(0, 0, -n) }
	page := &KeysPage{Base: base, Done: DoneKeyScheduled}
	for _, k := range []store.SigningKey{
		{KID: "3fYwR0kq7w2cS9dL5nH1pZxVb8TgQeJmUoAiKsMrNyE", Alg: "RS256", State: store.KeyActive, CreatedAt: days(41), ActivatedAt: days(40), LastUsedAt: testNow.Add(-2 * time.Minute)},
		{KID: "Qh1vXz9uCw0tBy2sDa4rEf6pGj8oIk3nLm5qNb7xVcM", Alg: "RS256", State: store.KeyNext, CreatedAt: days(0), PromoteAt: testNow.Add(20 * time.Hour)},
		{KID: "a7Jk2LmPq4Rs6Tu8Vw0Xy1Zb3Cd5Ef7Gh9Ij1Kl3Mn5", Alg: "RS256", State: store.KeyRetired, CreatedAt: days(130), ActivatedAt: days(129), RetiredAt: days(40), LastUsedAt: days(40)},
		{KID: "Zx9Cv7Bn5Mq3We1Rt8Yu6Io4Pa2Sd0Fg9Hj7Kl5Zx3C", Alg: "RS256", State: store.KeyRetired, CreatedAt: days(200), RetiredAt: days(130), WithdrawnAt: days(1)},
		{KID: "Lp0Ok9Ij8Uh7Yg6Tf5Rd4Es3Wa2Qz1Xc2Vb3Nm4As5D", Alg: "ES256", State: store.KeyActive, CreatedAt: days(1), ActivatedAt: days(0)},
		{KID: "Mn5Bv4Cx3Zl2Kj1Hg0Fd9Sa8Po7Iu6Yt5Re4Wq3As2D", Alg: "ES256", State: store.KeyNext, CreatedAt: days(1)},
	} {
		page.Keys = append(page.Keys, KeyRow{k, testNow.Sub(k.CreatedAt)})
	}
	return page
}

func sampleEvents(base Base, s func(string) string) *EventsPage {
	page := &EventsPage{Base: base, Filter: filterFields(map[string]string{}, nil), Most: maxExport, CSV: "/admin/events?format=csv", JSON: "/admin/events?format=json",
		Pager: Pager{Prev: "/admin/events?page=newer.1.1", Next: "/admin/events?page=older.1.1"}}
	for i, e := range []store.Event{
		{Event: "login_success", Username: s("ada"), IP: "2001:db8:64:500::17", Result: "success"},
		{Event: "login_failure", Username: s("=HYPERLINK(1)"), IP: "192.0.2.17", Result: "failure", RequestID: "K3VQ7Z2MXA4TC"},
		{Event: "oidc_authorize", Username: s("grace"), ClientID: s("grafana"), IP: "192.0.2.4", Result: "success", Detail: "acr=2 scope=openid"},
		{Event: "oidc_token", ClientID: s("grafana"), IP: "192.0.2.80", Result: "invalid_grant", Detail: "grant_type=refresh_token"},
		{Event: "login_failure", Username: s("grace"), IP: "192.0.2.17", Result: "throttled"},
		{Event: "login_failure", Username: s("grace"), IP: "192.0.2.17", Result: "unavailable"},
		{Event: "key_rotate", Username: s("ada"), IP: "192.0.2.4", Result: "success", Detail: `alg=RS256 kid="` + "Qh1vXz9uCw0tBy2sDa4rEf6pGj8oIk3nLm5qNb7xVcM" + `"`},
	} {
		e.Time = testNow.Add(-time.Duration(i*i) * time.Hour)
		page.Events = append(page.Events, TrailRow{e})
	}
	return page
}

func sampleEventFaults(base Base, s func(string) string) *EventsPage {
	asked := map[string]string{"event": s("login"), "ip": s("here"), "from": s("yesterday"), "to": "2h"}
	page := sampleEvents(base, s)
	page.Filter = filterFields(asked, []identity.QueryFault{{Field: "event", Kind: identity.QueryNoEvent}, {Field: "ip", Kind: identity.QueryNoAddress},
		{Field: "from", Kind: identity.QueryNoTime}, {Field: "to", Kind: identity.QueryNoRange}})
	page.Events, page.Pager, page.Filtered, page.Faults = nil, Pager{}, true, faulty(page.Filter...)
	return page
}
