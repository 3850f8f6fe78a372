package portal

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"peerage/identity"
	"peerage/identity/peeringdb"
	"peerage/store"
)

// networkField asks for the number of a network.
func networkField() Field {
	return Field{Name: "asn", Label: Say("network.asn"), Hint: Say("network.asn.hint"), Max: 12, Mono: true, Required: true}
}

// addNetworks shows which networks a person acts for, and who says so.
func (p *Portal) addNetworks(r *http.Request, u identity.User, page *UserPage) error {
	list, err := p.store.Affiliations(r.Context(), u.Sub)
	if err != nil {
		return err
	}
	page.Network, page.Suspended, page.Networks = networkField(), u.Suspended, networkRows(list)
	return nil
}

func networkRows(list []store.Affiliation) (rows []NetworkRow) {
	for _, a := range list {
		rows = append(rows, NetworkRow{ASN: strconv.FormatUint(uint64(a.ASN), 10), Name: a.Name, Origin: originWords(a.Origin),
			Since: a.Since, ByHand: a.Origin == store.AffiliationAdmin, MayUpdate: peeringdb.Perms(a.Perms).MayUpdate()})
	}
	return rows
}

// changeNetworks gives a person a network by hand, or takes it back.
func (p *Portal) changeNetworks(w http.ResponseWriter, r *http.Request, v identity.Visitor, u identity.User) error {
	ctx, typed := r.Context(), strings.TrimSpace(r.PostForm.Get("asn"))
	asn, ok := readASN(typed)
	fault, done := Say("network.fault.asn"), "network_added"
	if ok {
		var err error
		if r.PostForm.Get("action") == "affiliation-add" {
			err = p.directory.AddAffiliation(ctx, u, asn, "")
			fault = Say("network.fault.twice")
		} else {
			err = p.directory.RemoveAffiliation(ctx, u, asn)
			fault, done = Say("network.fault.not_by_hand"), "network_removed"
		}
		if err == nil {
			return see(w, pathUsers+"/"+u.Sub+"?done="+done)
		}
		if !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	page, err := p.userDetails(r, v, u)
	if err != nil {
		return err
	}
	page.Fault, page.Network.Value, page.Network.Fault = FaultForm, typed, fault
	return p.render.Render(w, http.StatusUnprocessableEntity, page)
}

// readASN reads the number of a network as people write it: 64500 or AS64500.
func readASN(typed string) (uint32, bool) {
	if len(typed) > 2 && strings.EqualFold(typed[:2], "as") {
		typed = typed[2:]
	}
	return peeringdb.ParseASN(typed)
}
