package identity

import (
	"context"
	"errors"
	"strconv"

	"peerage/store"
)

// MayConfirmByPeeringDB tells whether a person proves by PeeringDB that it is
// still them: who came by it and has nothing else to show.
func (d *Directory) MayConfirmByPeeringDB(u User) bool {
	return d.PeeringDBOffered() && u.Origin == store.OriginPeeringDB && !u.HasSecondFactor()
}

// person is who began a way, as far as their browser still shows it.
func flowPerson(f store.PeeringDBFlow, v *Visitor) (store.User, bool) {
	if v == nil || f.Sub == "" || v.User.Sub != f.Sub || v.Session.ID != f.SessionID {
		return store.User{}, false
	}
	return v.User.User, true
}

// linkPeeringDB links the account that came back with who began: the same person
// in the same session (CVE-2026-105207). Never by an address that both have.
func (d *Directory) linkPeeringDB(ctx context.Context, f store.PeeringDBFlow, v *Visitor, p proof) error {
	who, same := flowPerson(f, v)
	if !same {
		return d.linkFailed(ctx, store.User{Sub: f.Sub}, PeeringDBResponse, "the session is not the one in which linking began")
	}
	decide := d.decide(p.Profile)
	if fault := refused(store.PeeringDBChange{User: who, PeeringDBVerdict: decide(store.PeeringDBState{})}); fault != "" {
		return d.linkFailed(ctx, who, fault, "")
	}
	change, err := d.store.LinkPeeringDB(ctx, d.answer(who.Sub, p))
	if errors.Is(err, store.ErrExists) {
		return d.linkFailed(ctx, who, PeeringDBTaken, "account "+strconv.FormatInt(p.ID, 10))
	}
	if err != nil {
		return err
	}
	d.peeringDBEvent(ctx, "peeringdb_link", who, "")
	d.answered(ctx, change)
	d.notify(ctx, v.User, MailPeeringDBLinked)
	return nil
}

func (d *Directory) linkFailed(ctx context.Context, who store.User, fault PeeringDBFault, detail string) error {
	d.peeringDBEvent(ctx, "peeringdb_link", who, string(fault))
	return &PeeringDBError{Fault: fault, Detail: detail}
}

// confirmPeeringDB makes a session fresh for who proved themselves at PeeringDB
// once more, with the account that they are linked with.
func (d *Directory) confirmPeeringDB(ctx context.Context, b Browser, f store.PeeringDBFlow, v *Visitor, p proof) (secret string, err error) {
	who, same := flowPerson(f, v)
	if !same || !p.anew || !d.MayConfirmByPeeringDB(v.User) {
		return "", d.peeringDBFailed(ctx, who, PeeringDBResponse, "the session is not the one that is to be confirmed")
	}
	link, err := d.store.PeeringDBLink(ctx, who.Sub)
	if errors.Is(err, store.ErrNotFound) || err == nil && link.PeeringDBID != p.ID {
		return "", d.peeringDBFailed(ctx, who, PeeringDBOther, "account "+strconv.FormatInt(p.ID, 10))
	}
	if err != nil {
		return "", err
	}
	change, err := d.store.PutPeeringDBAnswer(ctx, d.answer(who.Sub, p))
	if err != nil {
		return "", err
	}
	d.answered(ctx, change)
	if fault := refused(change); fault != "" {
		return "", d.peeringDBFailed(ctx, who, fault, "")
	}
	d.peeringDBEvent(ctx, "peeringdb_login", who, "")
	return d.strengthen(ctx, b, v.Session, p.acr(), p.AMR...)
}

// UnlinkPeeringDB ends a person's link and what came by it, here at once and at
// PeeringDB if it answers. Errors: store.ErrNotFound; ErrNoPassword for who has no
// other way in.
func (d *Directory) UnlinkPeeringDB(ctx context.Context, u User) error {
	if u.Origin == store.OriginPeeringDB {
		return ErrNoPassword
	}
	token, removed, err := d.store.UnlinkPeeringDB(ctx, u.Sub)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	d.peeringDBEvent(ctx, "peeringdb_unlink", u.User, "")
	for _, a := range removed {
		d.affiliationEvent(ctx, "affiliation_removed", u.User, a.ASN, store.AffiliationPeeringDB)
	}
	d.notify(ctx, u, MailPeeringDBUnlinked)
	d.revokePeeringDB(ctx, token)
	return nil
}

// revokePeeringDB ends a grant at PeeringDB. When that fails nobody holds its
// token any more all the same.
func (d *Directory) revokePeeringDB(ctx context.Context, token []byte) {
	client := d.peeringdb.Client
	if client == nil || len(token) == 0 || d.peeringDBOpen(ctx) != nil {
		return
	}
	if err := client.Revoke(ctx, string(token)); err != nil {
		d.log.WarnContext(ctx, "giving a grant back to PeeringDB", "error", err)
	}
}
