package portal

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

const pathAdminPeeringDB = "/admin/peeringdb"

// maxTroubles is how many links with trouble the page shows.
const maxTroubles = 50

// doneRecheck: everybody is being checked; the page is loaded again after
// recheckLook seconds until nobody waits.
const (
	doneRecheck = "pdb_recheck"
	recheckLook = "10"
)

// adminPeeringDBPage shows how things stand with PeeringDB.
func (p *Portal) adminPeeringDBPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	page, err := p.peeringDBStatus(r, v)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if query.Get("ask") == "opt-out" {
		typed := strings.TrimSpace(query.Get("asn"))
		if asn, ok := readASN(typed); ok {
			return p.render.Render(w, http.StatusOK, askOptOut(page.Base, asn))
		}
		page.Fault, page.Network.Value, page.Network.Fault = FaultForm, typed, Say("network.fault.asn")
		return p.render.Render(w, http.StatusUnprocessableEntity, page)
	}
	page.Done = query.Get("done")
	if page.Done == doneRecheck && page.Due > 0 {
		w.Header().Set("Refresh", recheckLook) // it shows by itself how it goes on
	}
	return p.render.Render(w, http.StatusOK, page)
}

func askOptOut(base Base, asn uint32) *AskPage {
	number := strconv.FormatUint(uint64(asn), 10)
	return &AskPage{Base: base, Place: pathAdminPeeringDB, Title: Say("pdb.opt_out.title", "asn", number), Text: Say("pdb.opt_out.text"),
		Consequences: []Sentence{Say("pdb.opt_out.people", "asn", number), Say("pdb.opt_out.kept")},
		Action:       pathAdminPeeringDB, Fields: []Hidden{{"asn", number}}, Button: Hidden{"action", "opt-out"}, Submit: Say("pdb.opt_out"), Back: pathAdminPeeringDB}
}

func (p *Portal) peeringDBStatus(r *http.Request, v identity.Visitor) (*AdminPeeringDBPage, error) {
	ctx := r.Context()
	s, err := p.directory.PeeringDBStatus(ctx)
	if err != nil {
		return nil, err
	}
	page := &AdminPeeringDBPage{Base: p.base(r, &v), Offered: s.Offered, SignUp: s.SignUp, TooMany: s.TooMany(), Participants: s.Participants, Due: int(s.Due),
		Round: durationWords(s.Round), Refresh: durationWords(s.Refresh), Trouble: s.Pause.Fault, Network: networkField(),
		Numbers: []Number{{Label: Say("pdb.links"), Value: s.Links}, {Label: Say("pdb.due"), Value: s.Due}, {Label: Say("pdb.faulty"), Value: s.Faulty},
			{Label: Say("pdb.need_sign_in"), Value: s.NeedSignIn}, {Label: Say("pdb.stale"), Value: s.Stale}, {Label: Say("pdb.deactivated"), Value: s.Deactivated}}}
	page.Network.Hint = Say("pdb.opt_out.hint")
	if s.Pause.Until.After(p.now()) {
		page.Until = s.Pause.Until
	}
	troubles, err := p.store.PeeringDBTroubles(ctx, maxTroubles)
	if err != nil {
		return nil, err
	}
	for _, t := range troubles {
		page.Troubles = append(page.Troubles, PeeringDBRow{Sub: t.Sub, UserName: t.Username, Account: t.AccountName, What: troubleWords(t), Detail: t.Fault, TriedAt: t.TriedAt})
	}
	out, err := p.store.OptOuts(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range out {
		page.OptOuts = append(page.OptOuts, NetworkRow{ASN: strconv.FormatUint(uint64(o.ASN), 10), Since: o.Since})
	}
	return page, nil
}

// troubleWords says what is the matter with a link.
func troubleWords(t store.PeeringDBTrouble) Sentence {
	switch {
	case t.NeedsSignIn:
		return Say("pdb.trouble.sign_in")
	case t.Fault != "":
		return Say("pdb.trouble.no_answer")
	}
	return refusalWords(t.Refusal)
}

// durationWords is a time span in the largest unit that does not hide much of it.
func durationWords(d time.Duration) Sentence {
	if d >= 2*time.Hour {
		return Say("span.hours", "n", int(d.Round(time.Hour)/time.Hour))
	}
	if n := int(d.Round(time.Minute) / time.Minute); n > 1 {
		return Say("span.minutes", "n", n)
	}
	return Say("span.minute")
}

// changePeeringDB lets a network out or in, or has everybody checked.
func (p *Portal) changePeeringDB(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	ctx, done := r.Context(), ""
	action, typed := r.PostForm.Get("action"), strings.TrimSpace(r.PostForm.Get("asn"))
	asn, ok := readASN(typed)
	fault := Say("network.fault.asn")
	var err error
	switch {
	case action == "recheck":
		if _, err := p.store.RecheckPeeringDB(ctx); err != nil {
			return err
		}
		return see(w, pathAdminPeeringDB+"?done="+doneRecheck)
	case action != "opt-out" && action != "opt-in":
		return errBadAction
	case !ok:
		err = store.ErrNotFound
	case action == "opt-out":
		err, done, fault = p.directory.OptOut(ctx, asn), "pdb_opt_out", Say("pdb.fault.out_already")
	default:
		err, done, fault = p.directory.OptIn(ctx, asn), "pdb_opt_in", Say("pdb.fault.not_out")
	}
	if err == nil {
		return see(w, pathAdminPeeringDB+"?done="+done)
	}
	if !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	page, err := p.peeringDBStatus(r, v)
	if err != nil {
		return err
	}
	page.Fault, page.Network.Value, page.Network.Fault = FaultForm, typed, fault
	return p.render.Render(w, http.StatusUnprocessableEntity, page)
}
