package store

import (
	"context"
	"errors"
	"time"
)

// OriginPeeringDB marks people who came by PeeringDB and have no password.
const OriginPeeringDB = "peeringdb"

// PeeringDBLink is the PeeringDB account of a person, without its token.
type PeeringDBLink struct {
	Sub         string
	PeeringDBID int64
	AccountName string
	// Generation counts the refresh tokens of the link.
	Generation int64
	LinkedAt   time.Time
	// CheckedAt is the last good answer, TriedAt the last try, NextAt the next
	// one; zero for never.
	CheckedAt, TriedAt, NextAt time.Time
	Urgent                     bool
	// Fault is what was wrong with the last try, Refusal why the last good
	// answer lets the person in no more; "" for nothing.
	Fault, Refusal string
	NeedsSignIn    bool
	// DeactivatedAt is since when the person is disabled for want of networks.
	DeactivatedAt time.Time
}

const linkedColumns = "l.sub, l.peeringdb_id, l.account_name, l.generation, l.linked_at, l.checked_at, l.tried_at, l.next_at, l.urgent, l.fault, l.refusal, l.needs_sign_in, l.deactivated_at"

func linkedFields(l *PeeringDBLink) []any {
	return []any{&l.Sub, &l.PeeringDBID, &l.AccountName, &l.Generation, stamp{&l.LinkedAt}, stamp{&l.CheckedAt}, stamp{&l.TriedAt}, stamp{&l.NextAt},
		&l.Urgent, &l.Fault, &l.Refusal, &l.NeedsSignIn, stamp{&l.DeactivatedAt}}
}

func refreshTokenPlace(sub string) sealedColumn {
	return sealedColumn{"peeringdb_links", "sealed_refresh_token", "sub = $2", sub}
}

// PeeringDBLink finds the PeeringDB account of a person.
func (s *Store) PeeringDBLink(ctx context.Context, sub string) (PeeringDBLink, error) {
	return one(s.read(ctx), linkedFields, "SELECT "+linkedColumns+" FROM peeringdb_links l WHERE l.sub = $1", sub)
}

// PeeringDBLinkOf finds the person of a PeeringDB account.
func (s *Store) PeeringDBLinkOf(ctx context.Context, id int64) (PeeringDBLink, error) {
	return one(s.read(ctx), linkedFields, "SELECT "+linkedColumns+" FROM peeringdb_links l WHERE l.peeringdb_id = $1", id)
}

// PeeringDBState is what a decision about a person's networks begins with.
type PeeringDBState struct {
	Affiliations []Affiliation
	OptedOut     map[uint32]bool
}

// PeeringDBVerdict is what becomes of a person.
type PeeringDBVerdict struct {
	// Add, Change and Remove are affiliations of origin peeringdb.
	Add, Change, Remove []Affiliation
	// Refusal is why the person is let in no more, "" for nothing.
	Refusal string
	// Alone: who came by PeeringDB alone is disabled.
	Alone bool
}

// PeeringDBAnswer is a good answer of PeeringDB about a person.
type PeeringDBAnswer struct {
	Sub         string
	PeeringDBID int64
	AccountName string
	// Generation is that of the token by which the answer came; 0 for a new
	// token, RefreshToken, that came with it.
	Generation   int64
	RefreshToken []byte
	// Profile has the name and address that people of origin peeringdb get.
	Profile User
	NextAt  time.Time
	// Decide must be a pure function: it may run several times.
	Decide func(PeeringDBState) PeeringDBVerdict
}

// PeeringDBChange is what an answer has changed.
type PeeringDBChange struct {
	User User
	PeeringDBVerdict
	// Deactivated and Reactivated: the person was disabled, or is enabled again.
	Deactivated, Reactivated bool
	Ended                    []Session
}

// PutPeeringDBAnswer puts an answer about a linked person into effect: their
// networks, and whether there is a reason left for them to be here. ErrNotFound:
// the link is gone, or another account's. ErrConflict: a newer token came by
// another way; its answer counts.
func (s *Store) PutPeeringDBAnswer(ctx context.Context, a PeeringDBAnswer) (PeeringDBChange, error) {
	sealed, err := s.sealRefreshToken(a)
	if err != nil {
		return PeeringDBChange{}, err
	}
	var change PeeringDBChange
	err = s.tx(ctx, "put_peeringdb_answer", func(q *Queries) (err error) {
		change, err = q.putAnswer(a, sealed)
		return err
	})
	return change, err
}

func (s *Store) sealRefreshToken(a PeeringDBAnswer) ([]byte, error) {
	if a.RefreshToken == nil {
		return nil, nil
	}
	return s.seals.seal(a.RefreshToken, refreshTokenPlace(a.Sub).place())
}

func (q *Queries) putAnswer(a PeeringDBAnswer, sealed []byte) (PeeringDBChange, error) {
	link, err := one(q, linkedFields, "SELECT "+linkedColumns+" FROM peeringdb_links l WHERE l.sub = $1 AND l.peeringdb_id = $2", a.Sub, a.PeeringDBID)
	if err != nil {
		return PeeringDBChange{}, err
	}
	if a.Generation != 0 && a.Generation != link.Generation {
		return PeeringDBChange{}, ErrConflict
	}
	change, err := q.putNetworks(a)
	if err != nil {
		return change, err
	}
	if sealed != nil {
		err = q.must("UPDATE peeringdb_links SET sealed_refresh_token = $2, generation = generation + 1 WHERE sub = $1", a.Sub, sealed)
		if err != nil {
			return change, err
		}
	}
	err = q.must(`UPDATE peeringdb_links SET account_name = $2, checked_at = $3, tried_at = $3, next_at = $4, urgent = FALSE, fault = '', refusal = $5,
		needs_sign_in = FALSE, lease_until = NULL WHERE sub = $1`, a.Sub, a.AccountName, at(q.now), at(a.NextAt), change.Refusal)
	if err == nil {
		err = q.must("UPDATE peeringdb_pace SET fault = '' WHERE id = 1 AND fault <> ''")
	}
	if err == nil {
		err = q.settle(link, &change)
	}
	return change, err
}

// putNetworks changes a person's affiliations as decided.
func (q *Queries) putNetworks(a PeeringDBAnswer) (PeeringDBChange, error) {
	var change PeeringDBChange
	var err error
	if change.User, err = one(q, userFields, "SELECT "+userColumns+" FROM users u WHERE u.sub = $1", a.Sub); err != nil {
		return change, err
	}
	state := PeeringDBState{OptedOut: map[uint32]bool{}}
	if state.Affiliations, err = q.affiliations(a.Sub); err != nil {
		return change, err
	}
	out, err := q.optOuts()
	if err != nil {
		return change, err
	}
	for _, o := range out {
		state.OptedOut[o.ASN] = true
	}
	change.PeeringDBVerdict = a.Decide(state)
	for _, r := range change.Remove {
		if _, err := q.removeAffiliation(a.Sub, r.ASN, AffiliationPeeringDB); err != nil {
			return change, err
		}
	}
	for i, list := range [][]Affiliation{change.Add, change.Change} {
		for _, n := range list {
			n.Origin = AffiliationPeeringDB
			if err := q.putAffiliation(a.Sub, n, i == 1); err != nil {
				return change, err
			}
		}
	}
	return change, q.putOwnProfile(a, &change.User)
}

// putOwnProfile takes over name and address of who has them from PeeringDB; a
// person of another origin keeps their own. A closed account says neither.
func (q *Queries) putOwnProfile(a PeeringDBAnswer, u *User) error {
	p := a.Profile
	if u.Origin != OriginPeeringDB || p.Email == "" ||
		u.Name == p.Name && u.GivenName == p.GivenName && u.FamilyName == p.FamilyName && u.Email == p.Email && u.EmailVerified == p.EmailVerified {
		return nil
	}
	u.Name, u.GivenName, u.FamilyName, u.Email, u.EmailVerified = p.Name, p.GivenName, p.FamilyName, p.Email, p.EmailVerified
	return q.putPerson(*u)
}

// settle disables who came by PeeringDB alone and has no network left, and lets
// in again whom only that had kept out: not whom an administrator disabled.
func (q *Queries) settle(link PeeringDBLink, change *PeeringDBChange) (err error) {
	u := &change.User
	switch {
	case change.Alone && u.Origin == OriginPeeringDB && !u.Disabled:
		last, err := q.lastAdministrator(u.Sub)
		if err != nil || last {
			return err
		}
		change.Deactivated = true
	case !change.Alone && u.Disabled && !link.DeactivatedAt.IsZero():
		change.Reactivated = true
	default:
		return nil
	}
	u.Disabled = change.Deactivated
	since := time.Time{}
	if change.Deactivated {
		since = q.now
	}
	if err := q.must("UPDATE users SET disabled = $2, updated_at = $3, version = version + 1 WHERE sub = $1", u.Sub, u.Disabled, at(q.now)); err != nil {
		return err
	}
	if err := q.must("UPDATE peeringdb_links SET deactivated_at = $2 WHERE sub = $1", u.Sub, at(since)); err != nil {
		return err
	}
	if change.Deactivated {
		if err := q.must("DELETE FROM consents WHERE sub = $1", u.Sub); err != nil {
			return err
		}
		change.Ended, err = q.signOutEverywhere(u.Sub)
	}
	return err
}

// lastAdministrator tells whether nobody else could administer. It waits for
// others who change that, like keepAdministrator.
func (q *Queries) lastAdministrator(sub string) (bool, error) {
	group := q.store.admins
	if group == "" {
		return false, nil
	}
	if err := q.must("UPDATE local_groups SET created_at = created_at WHERE name = $1", group); err != nil {
		return false, err
	}
	admins, err := many(q, text, `SELECT u.sub FROM group_members m JOIN users u ON u.sub = m.sub WHERE m.group_name = $1 AND u.disabled = FALSE LIMIT 2`, group)
	return len(admins) == 1 && admins[0] == sub, err
}

// LinkPeeringDB links a PeeringDB account to a person and puts its first answer
// into effect. ErrExists: the account is another person's, or the person has
// another account. ErrNotFound: no such person, or disabled.
func (s *Store) LinkPeeringDB(ctx context.Context, a PeeringDBAnswer) (PeeringDBChange, error) {
	sealed, err := s.sealRefreshToken(a)
	if err != nil {
		return PeeringDBChange{}, err
	}
	var change PeeringDBChange
	err = s.tx(ctx, "link_peeringdb", func(q *Queries) (err error) {
		if _, err := one(q, text, "SELECT sub FROM users WHERE sub = $1 AND disabled = FALSE", a.Sub); err != nil {
			return err
		}
		old, err := one(q, linkedFields, "SELECT "+linkedColumns+" FROM peeringdb_links l WHERE l.sub = $1", a.Sub)
		switch {
		case err == nil && old.PeeringDBID != a.PeeringDBID:
			return ErrExists
		case errors.Is(err, ErrNotFound):
			err = q.insertLink(a)
		}
		if err != nil {
			return err
		}
		change, err = q.putAnswer(a, sealed)
		return err
	})
	return change, err
}

func (q *Queries) insertLink(a PeeringDBAnswer) error {
	return q.must(`INSERT INTO peeringdb_links (sub, peeringdb_id, account_name, generation, linked_at, next_at, urgent, fault, refusal, needs_sign_in)
		VALUES ($1, $2, $3, 0, $4, $5, FALSE, '', '', FALSE)`, a.Sub, a.PeeringDBID, a.AccountName, at(q.now), at(a.NextAt))
}

// SignUpPeeringDB makes a person of origin peeringdb under the first of the names
// that nobody has or had, and links their account. ErrExists: somebody else took
// the name, or linked the account, just now. Nobody is made when the verdict has
// a refusal: change.Refusal tells it.
func (s *Store) SignUpPeeringDB(ctx context.Context, a PeeringDBAnswer, names func(yield func(string) bool)) (PeeringDBChange, error) {
	sealed, err := s.sealRefreshToken(a)
	if err != nil {
		return PeeringDBChange{}, err
	}
	var change PeeringDBChange
	err = s.tx(ctx, "sign_up_peeringdb", func(q *Queries) error {
		change = PeeringDBChange{}
		u := a.Profile
		u.Sub, u.Origin = a.Sub, OriginPeeringDB
		var err error
		if u.Username, err = q.freeName(names); err != nil {
			return err
		}
		if err := q.createUser(u, "", nil); err != nil {
			return err
		}
		if err := q.insertLink(a); err != nil {
			return err
		}
		if change, err = q.putAnswer(a, sealed); err == nil && change.Refusal != "" {
			err = errRefused
		}
		return err
	})
	if errors.Is(err, errRefused) {
		change.User, err = User{}, nil
	}
	return change, err
}

// errRefused undoes what was done so far.
var errRefused = errors.New("refused")

// freeName is the first name that nobody has, and that nobody had who was
// deleted: applications may still know them by it.
func (q *Queries) freeName(names func(yield func(string) bool)) (free string, err error) {
	for name := range names {
		taken, err := many(q, text, "SELECT sub FROM users WHERE username = $1", name)
		if err == nil && len(taken) == 0 {
			taken, err = many(q, text, "SELECT id FROM events WHERE username = $1 AND event = 'user_delete' LIMIT 1", name)
		}
		if err != nil || len(taken) == 0 {
			return name, err
		}
	}
	return "", ErrExists
}

// PeeringDBToken is the refresh token of a person's link, nil without one.
func (s *Store) PeeringDBToken(ctx context.Context, sub string) ([]byte, error) {
	blob, err := one(s.read(ctx), rawBytes, "SELECT sealed_refresh_token FROM peeringdb_links WHERE sub = $1", sub)
	if errors.Is(err, ErrNotFound) || err == nil && blob == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.unseal(ctx, blob, refreshTokenPlace(sub))
}

// UnlinkPeeringDB ends a link with the networks that came by it, and returns the
// refresh token, which is to be revoked at PeeringDB. ErrNotFound: there is no link.
func (s *Store) UnlinkPeeringDB(ctx context.Context, sub string) (token []byte, removed []Affiliation, err error) {
	err = s.tx(ctx, "unlink_peeringdb", func(q *Queries) error {
		blob, err := one(q, rawBytes, "DELETE FROM peeringdb_links WHERE sub = $1 RETURNING sealed_refresh_token", sub)
		if err != nil {
			return err
		}
		if token, _, err = s.seals.open(blob, refreshTokenPlace(sub).place()); err != nil {
			token = nil // it cannot be revoked then; the link goes all the same
		}
		list, err := q.affiliations(sub)
		if err != nil {
			return err
		}
		removed = nil
		for _, a := range list {
			if a.Origin != AffiliationPeeringDB {
				continue
			}
			if _, err := q.removeAffiliation(sub, a.ASN, a.Origin); err != nil {
				return err
			}
			removed = append(removed, a)
		}
		return nil
	})
	return token, removed, err
}
