package portal

import (
	"errors"
	"net/http"
	"strconv"

	"peerage/identity"
	"peerage/identity/peeringdb"
	"peerage/store"
)

// peeringDBPage shows a person's PeeringDB account and what comes of it, or asks
// before the link ends.
func (p *Portal) peeringDBPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	page, err := p.peeringDBDetails(r, v)
	if err != nil {
		return err
	}
	if r.URL.Query().Get("ask") == "unlink" && page.Linked && page.MayUnlink {
		return p.render.Render(w, http.StatusOK, askUnlink(p.base(r, &v)))
	}
	page.Done = r.URL.Query().Get("done")
	return p.render.Render(w, http.StatusOK, page)
}

func askUnlink(base Base) *AskPage {
	return &AskPage{Base: base, Place: pathPeeringDB, Title: Say("peeringdb.unlink.title"), Text: Say("peeringdb.unlink.text"),
		Consequences: []Sentence{Say("peeringdb.unlink.networks"), Say("peeringdb.unlink.sign_in"), Say("peeringdb.unlink.grant")},
		Action:       pathPeeringDB, Button: Hidden{"action", "unlink"}, Submit: Say("peeringdb.unlink"), Back: pathPeeringDB}
}

func (p *Portal) peeringDBDetails(r *http.Request, v identity.Visitor) (*PeeringDBPage, error) {
	ctx, u := r.Context(), v.User
	page := &PeeringDBPage{Base: p.base(r, &v), Offered: p.directory.PeeringDBOffered(), Suspended: u.Suspended, MayUnlink: u.Origin != store.OriginPeeringDB}
	list, err := p.store.Affiliations(ctx, u.Sub)
	if err != nil {
		return nil, err
	}
	page.Networks = networkRows(list)
	if page.News, err = p.networkNews(r, u); err != nil {
		return nil, err
	}
	link, err := p.store.PeeringDBLink(ctx, u.Sub)
	if errors.Is(err, store.ErrNotFound) {
		return page, nil
	}
	if err != nil {
		return nil, err
	}
	page.Linked, page.Account, page.ID = true, link.AccountName, strconv.FormatInt(link.PeeringDBID, 10)
	page.Since, page.CheckedAt, page.NextAt, page.Waiting = link.LinkedAt, link.CheckedAt, link.NextAt, link.Urgent
	page.NeedsSignIn, page.Unanswered = link.NeedsSignIn, link.Fault != "" && !link.NeedsSignIn
	page.Refusal = refusalWords(link.Refusal)
	return page, nil
}

// refusalWords says why PeeringDB's last word gives no networks.
func refusalWords(refusal string) Sentence {
	switch peeringdb.Refusal(refusal) {
	case peeringdb.RefusedUser:
		return Say("peeringdb.refused.user")
	case peeringdb.RefusedEmail:
		return Say("peeringdb.refused.email")
	case peeringdb.RefusedNoNetwork:
		return Say("peeringdb.refused.networks")
	}
	return Sentence{}
}

// networkNews are the changes that a person has not been told yet.
func (p *Portal) networkNews(r *http.Request, u identity.User) ([]Sentence, error) {
	news, err := p.store.AffiliationNews(r.Context(), u.Sub)
	var list []Sentence
	for _, n := range news {
		asn := "AS" + strconv.FormatUint(uint64(n.ASN), 10)
		if n.Added {
			list = append(list, Say("news.added", "asn", asn, "network", n.Name))
		} else {
			list = append(list, Say("news.removed", "asn", asn, "network", n.Name))
		}
	}
	return list, err
}

// peeringDB links, checks or unlinks.
func (p *Portal) peeringDB(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	ctx, done := r.Context(), ""
	switch action := r.PostForm.Get("action"); action {
	case "link", "unlink":
		// A session that somebody left open must not gain another way in
		// (CVE-2026-105207), nor lose one.
		if !p.directory.Fresh(v) {
			return p.askFresh(w, r)
		}
		if action == "link" {
			return p.linkPeeringDB(w, r, v)
		}
		switch err := p.directory.UnlinkPeeringDB(ctx, v.User); {
		case errors.Is(err, identity.ErrNoPassword):
			return p.peeringDBRefused(w, r, v, Say("peeringdb.refused.only"))
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		done = DonePeeringDBUnlinked
	case "check":
		checked, err := p.directory.CheckPeeringDB(ctx, v.User)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, errors.ErrUnsupported) {
			return p.peeringDBRefused(w, r, v, Say("peeringdb.refused.no_link"))
		}
		if err != nil {
			return err
		}
		done = "peeringdb_" + string(checked)
	case "seen":
		if err := p.store.ForgetAffiliationNews(ctx, v.User.Sub); err != nil {
			return err
		}
		return see(w, p.returnPath(r.PostForm.Get("return")))
	default:
		return errBadAction
	}
	return see(w, pathPeeringDB+"?done="+done)
}

func (p *Portal) linkPeeringDB(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	if !p.directory.PeeringDBOffered() {
		return p.peeringDBRefused(w, r, v, Say("peeringdb.off"))
	}
	flow := store.PeeringDBFlow{Purpose: store.FlowLink, Sub: v.User.Sub, SessionID: v.Session.ID, Back: pathPeeringDB}
	// The account must be the person's own, not the one that somebody before them
	// left signed in at PeeringDB.
	return p.leaveForPeeringDB(w, r, p.bound(w, r), &v, flow, true)
}

func (p *Portal) peeringDBRefused(w http.ResponseWriter, r *http.Request, v identity.Visitor, why Sentence) error {
	page, err := p.peeringDBDetails(r, v)
	if err != nil {
		return err
	}
	page.Fault, page.Refused = FaultForm, why
	return p.render.Render(w, http.StatusUnprocessableEntity, page)
}
