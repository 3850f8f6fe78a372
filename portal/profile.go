package portal

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"peerage/identity"
	"peerage/store"
)

// profile shows what is known of the person.
func (p *Portal) profile(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	page, err := p.profilePage(p.base(r, &v), r, v)
	if err != nil {
		return err
	}
	page.Done = r.FormValue("done")
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) profilePage(base Base, r *http.Request, v identity.Visitor) (*ProfilePage, error) {
	u := v.User
	password, err := p.directory.HasPassword(r.Context(), u)
	if err != nil {
		return nil, err
	}
	codes, err := p.directory.RecoveryState(r.Context(), u)
	if err != nil {
		return nil, err
	}
	page := &ProfilePage{Base: base, UserName: u.Username, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified,
		SecondFactor: u.HasSecondFactor(), Passkeys: int(u.Passkeys), RecoveryCodes: int(codes.Left), Password: password, MayVerify: p.mayVerify(u)}
	for _, m := range u.Memberships {
		page.Groups = append(page.Groups, GroupItem{Name: m.Group, Origin: originWords(m.Origin)})
	}
	_, err = p.store.PeeringDBLink(r.Context(), u.Sub)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	page.Linked = err == nil
	page.PeeringDB, page.Suspended = page.Linked || p.directory.PeeringDBOffered(), u.Suspended
	page.LastSignIn, page.SignedInWith, err = p.lastSignIn(r, v)
	return page, err
}

// mayVerify tells whether a person can prove their address by a mail.
func (p *Portal) mayVerify(u identity.User) bool {
	return p.directory.MailsPeople() && u.Email != "" && !u.EmailVerified
}

// lastSignIn is when a person last signed in, and how while that session lives.
func (p *Portal) lastSignIn(r *http.Request, v identity.Visitor) (time.Time, []Sentence, error) {
	sessions, err := p.directory.Sessions(r.Context(), v.User)
	if err != nil {
		return time.Time{}, nil, err
	}
	last := v.Session
	for _, s := range sessions {
		if s.AuthTime.After(last.AuthTime) {
			last = s
		}
	}
	// Rows are written a moment after the proof.
	if v.User.LastLoginAt.Sub(last.AuthTime) > time.Minute {
		return v.User.LastLoginAt, nil, nil
	}
	return last.AuthTime, methodWords(last.AMR), nil
}

// originWords says who put a person into a group.
func originWords(origin string) Sentence {
	switch origin {
	case identity.OriginLocal, store.AffiliationAdmin:
		return Say("member.local")
	case "openbao":
		return Say("member.openbao")
	case store.AffiliationPeeringDB:
		return Say("member.peeringdb")
	}
	return Sentence{}
}

// methodWords names the factors of a sign-in (RFC 8176), each once.
func methodWords(amr []string) (list []Sentence) {
	known := []struct {
		values []string
		words  Sentence
	}{
		{[]string{"pwd"}, Say("method.password")},
		{[]string{"otp"}, Say("method.code")},
		{[]string{"hwk", "swk", "user"}, Say("method.passkey")},
	}
	for _, k := range known {
		if slices.ContainsFunc(k.values, func(m string) bool { return slices.Contains(amr, m) }) {
			list = append(list, k.words)
		}
	}
	return list
}
