package portal

import (
	"errors"
	"net/http"
	"slices"

	"peerage/identity"
	"peerage/store"
)

// sessionsPage lists where the person is signed in.
func (p *Portal) sessionsPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	page, err := p.sessionList(p.base(r, &v), r, v)
	if err != nil {
		return err
	}
	page.Done = r.FormValue("done")
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) sessionList(base Base, r *http.Request, v identity.Visitor) (*SessionsPage, error) {
	sessions, err := p.directory.Sessions(r.Context(), v.User)
	if err != nil {
		return nil, err
	}
	// The one in use stands first, whichever was seen last.
	slices.SortStableFunc(sessions, func(a, b store.Session) int {
		switch v.Session.ID {
		case a.ID:
			return -1
		case b.ID:
			return 1
		}
		return 0
	})
	page := &SessionsPage{Base: base}
	for _, s := range sessions {
		page.Sessions = append(page.Sessions, SessionItem{ID: s.ID, Browser: browserWords(s.UserAgent), Address: s.IP,
			With: methodWords(s.AMR), Started: s.CreatedAt, LastSeen: s.LastSeenAt, This: s.ID == v.Session.ID})
	}
	return page, nil
}

// endSession ends one of the person's sessions, or all but the one in use.
func (p *Portal) endSession(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	id := r.PostForm.Get("session")
	if id == "others" {
		if _, err := p.directory.RevokeOtherSessions(r.Context(), v); err != nil {
			return err
		}
		return see(w, "/identity/sessions?done="+DoneSessionsEnded)
	}
	err := p.directory.RevokeSession(r.Context(), v.User, id)
	if errors.Is(err, identity.ErrNoSession) {
		base := p.base(r, &v)
		base.Fault = FaultNotFound
		page, err := p.sessionList(base, r, v)
		if err != nil {
			return err
		}
		return p.render.Render(w, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return err
	}
	return see(w, "/identity/sessions?done="+DoneSessionEnded)
}
