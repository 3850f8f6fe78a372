package portal

import (
	"time"

	"peerage/store"
)

// samplePeeringDB are the pages about PeeringDB.
func samplePeeringDB(ada Base, s func(string) string) map[string]Page {
	base := func(fault string) Base { b := Base{RequestID: "K3VQ7Z2MXA4TC"}; b.Fault = fault; return b }
	with := func(fault string) Base { b := ada; b.Fault = fault; return b }
	networks := []NetworkRow{{ASN: "64500", Name: s("Example Networks"), Origin: originWords("peeringdb"), Since: testNow.AddDate(0, -1, 0), MayUpdate: true},
		{ASN: "4200000001", Origin: originWords("admin"), Since: testNow.Add(-time.Hour), ByHand: true}}
	linked := PeeringDBPage{Base: ada, Offered: true, Linked: true, Account: s("Ada Example"), ID: "4711", Since: testNow.AddDate(-1, 0, 0), CheckedAt: testNow.Add(-20 * time.Minute),
		NextAt: testNow.Add(5 * time.Hour), MayUnlink: true, Networks: networks, Done: "peeringdb_checked"}
	old, lost, only := linked, linked, linked
	old.Suspended, old.Unanswered, old.CheckedAt, old.Networks, old.Done, old.Waiting = true, true, testNow.AddDate(0, 0, -4), nil, "peeringdb_no_answer", true
	lost.NeedsSignIn, lost.Refusal, lost.Done = true, refusalWords("email_unverified"), ""
	only.MayUnlink, only.Base, only.Refused, only.Done = false, with(FaultForm), Say("peeringdb.refused.only"), ""
	only.News = []Sentence{Say("news.added", "asn", "AS64500", "network", s("Example Networks")), Say("news.removed", "asn", "AS64501", "network", s("Example Transit"))}
	field := networkField()
	field.Hint = Say("pdb.opt_out.hint")
	admin := AdminPeeringDBPage{Base: ada, Offered: true, SignUp: true, Numbers: []Number{{Label: Say("pdb.links"), Value: 7012}, {Label: Say("pdb.due"), Value: 812}, {Label: Say("pdb.faulty"), Value: 2},
		{Label: Say("pdb.need_sign_in"), Value: 1}, {Label: Say("pdb.stale"), Value: 0}, {Label: Say("pdb.deactivated"), Value: 3}}, Participants: 1010, Due: 812,
		Round: durationWords(6 * time.Hour), Refresh: durationWords(5 * time.Hour), TooMany: true, Network: field, Done: "pdb_recheck",
		Troubles: []PeeringDBRow{{Sub: "sub-1", UserName: s("ada"), Account: s("Ada Example"), What: Say("pdb.trouble.sign_in"), Detail: s("the refresh token counts no more"), TriedAt: testNow.Add(-time.Hour)},
			{Sub: "sub-2", UserName: s("bob"), What: troubleWords(store.PeeringDBTrouble{PeeringDBLink: store.PeeringDBLink{Refusal: "user_unverified"}}), TriedAt: testNow.Add(-2 * time.Hour)}},
		OptOuts: []NetworkRow{{ASN: "64502", Since: testNow.AddDate(0, 0, -9)}}}
	down := admin
	down.Base, down.Trouble, down.Until, down.TooMany, down.Participants, down.Troubles, down.Done = with(FaultForm), s("token answers 429"), testNow.Add(time.Minute), false, 0, nil, ""
	down.Network.Fault, down.Network.Value = Say("network.fault.asn"), s("AS0")
	throttled := base(FaultPeeringDBDown)
	throttled.RetryAfter = 40 * time.Second
	return map[string]Page{
		"to_peeringdb":           &ToPeeringDBPage{Base: base(""), Return: "/identity"},
		"peeringdb":              &linked,
		"peeringdb-old":          &old,
		"peeringdb-lost":         &lost,
		"peeringdb-only":         &only,
		"peeringdb-none":         &PeeringDBPage{Base: ada, Offered: true, Networks: networks[1:], MayUnlink: true},
		"peeringdb-off":          &PeeringDBPage{Base: ada, MayUnlink: true},
		"peeringdb-unlink":       askUnlink(ada),
		"admin_peeringdb":        &admin,
		"admin_peeringdb-down":   &down,
		"admin_peeringdb-off":    &AdminPeeringDBPage{Base: ada, Network: field},
		"error-peeringdb-user":   &ErrorPage{Base: base(FaultPeeringDBUser), Again: "/login", Account: s("Ada Example")},
		"error-peeringdb-mail":   &ErrorPage{Base: base(FaultPeeringDBEmail), Again: "/login?request=x"},
		"error-peeringdb-none":   &ErrorPage{Base: base(FaultPeeringDBNoNetwork), Again: "/login"},
		"error-peeringdb-down":   &ErrorPage{Base: throttled, Again: "/login"},
		"error-peeringdb-answer": &ErrorPage{Base: base(FaultPeeringDBResponse), Reason: ReasonPeeringDBAnswer, Again: "/login"},
		"error-peeringdb-scope":  &ErrorPage{Base: base(FaultPeeringDBResponse), Reason: ReasonPeeringDBScope, Again: "/login"},
		"error-peeringdb-factor": &ErrorPage{Base: base(FaultNotAllowed), Reason: ReasonPeeringDBFactor, Again: "/login?request=x"},
		"error-peeringdb-taken":  &ErrorPage{Base: with(FaultConflict), Reason: ReasonPeeringDBTaken, Again: "/identity/peeringdb"},
		"recover-peeringdb":      &RecoverPage{Base: base(""), Token: "x", UserName: s("ada"), PeeringDB: true},
		"confirm-peeringdb":      &ConfirmPage{Base: base(""), UserName: s("ada"), Return: "/identity/totp", PeeringDB: true},
	}
}
