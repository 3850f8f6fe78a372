package store

import (
	"context"
	"slices"
	"strings"
	"time"
)

// User is a person as the store knows them. Username is unique over all origins.
type User struct {
	// Sub is the opaque, stable subject identifier (OIDC Core section 2).
	Sub string
	// Origin says who checks the password: "local", later "openbao", "peeringdb".
	Origin     string
	Username   string
	Name       string
	GivenName  string
	FamilyName string
	Email      string
	// EmailVerified is true only when we or PeeringDB verified the address.
	EmailVerified bool
	Disabled      bool
	// NeedsLink: the second factor was reset; enrolling needs a one-time link.
	NeedsLink   bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
	LastLoginAt time.Time
	// Version counts the changes of what an administrator edits, so that two of
	// them do not overwrite each other.
	Version int64
	// TOTP tells whether an active TOTP factor is kept here (local people).
	TOTP bool
	// Passkeys is how many passkeys they have.
	Passkeys int64
}

// HasSecondFactor tells whether the password alone does not open the account.
// Recovery codes stand in for a second factor and are none themselves.
func (u User) HasSecondFactor() bool { return u.TOTP || u.Passkeys > 0 }

const userColumns = `u.sub, u.origin, u.username, u.name, u.given_name, u.family_name, u.email, u.email_verified,
	u.disabled, u.needs_link, u.created_at, u.updated_at, u.last_login_at, u.version,
	EXISTS (SELECT 1 FROM factors f WHERE f.sub = u.sub AND f.kind = 'totp' AND f.pending = FALSE),
	(SELECT COUNT(*) FROM passkeys p WHERE p.sub = u.sub)`

func userFields(u *User) []any {
	return []any{&u.Sub, &u.Origin, &u.Username, &u.Name, &u.GivenName, &u.FamilyName, &u.Email, &u.EmailVerified,
		&u.Disabled, &u.NeedsLink, stamp{&u.CreatedAt}, stamp{&u.UpdatedAt}, stamp{&u.LastLoginAt}, &u.Version, &u.TOTP, &u.Passkeys}
}

// CreateUser adds a person with their groups and, when not empty, their
// password hash. ErrExists: the user name is taken. ErrNotFound: no such group.
func (s *Store) CreateUser(ctx context.Context, u User, passwordHash string, groups []string) error {
	return s.tx(ctx, "create_user", func(q *Queries) error { return q.createUser(u, passwordHash, groups) })
}

func (q *Queries) createUser(u User, passwordHash string, groups []string) error {
	err := q.must(`INSERT INTO users (sub, origin, username, name, given_name, family_name, email, email_verified, disabled, needs_link, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)`,
		u.Sub, u.Origin, u.Username, u.Name, u.GivenName, u.FamilyName, u.Email, u.EmailVerified, u.Disabled, u.NeedsLink, at(q.now))
	if err != nil {
		return err
	}
	if err := q.putWords(u); err != nil {
		return err
	}
	if passwordHash != "" {
		if err := q.putPasswordHash(u.Sub, passwordHash); err != nil {
			return err
		}
	}
	for _, g := range groups {
		if _, err := q.insertMember(g, u.Sub); err != nil {
			return err
		}
	}
	return nil
}

// User finds a person by subject identifier.
func (s *Store) User(ctx context.Context, sub string) (User, error) {
	return one(s.read(ctx), userFields, "SELECT "+userColumns+" FROM users u WHERE u.sub = $1", sub)
}

// Person is somebody with all that says what they may do.
type Person struct {
	User
	// Groups are local, sorted by name.
	Groups []string
	// Affiliations are sorted by ASN.
	Affiliations []Affiliation
	// CheckedAt is PeeringDB's last good answer about them; zero for never.
	CheckedAt time.Time
}

// personRow is a person as one row: of lists a line each.
type personRow struct {
	Person
	groups, affiliations string
}

func (s *Store) personColumns() string {
	return userColumns + ", COALESCE((SELECT " + s.engine.lines("m.group_name") + " FROM group_members m WHERE m.sub = u.sub), ''), COALESCE((SELECT " +
		s.engine.lines(affiliationLine) + " FROM affiliations a WHERE a.sub = u.sub), ''), (SELECT l.checked_at FROM peeringdb_links l WHERE l.sub = u.sub)"
}

func personFields(r *personRow) []any {
	return append(userFields(&r.User), &r.groups, &r.affiliations, stamp{&r.CheckedAt})
}

// person takes the lists apart.
func (r personRow) person() (Person, error) {
	if r.groups != "" {
		r.Groups = strings.Split(r.groups, "\n")
		slices.Sort(r.Groups)
	}
	var err error
	r.Affiliations, err = parseAffiliations(r.affiliations)
	return r.Person, err
}

// Person finds a person with their local groups and their networks: one read,
// for each request of a client needs all of it.
func (s *Store) Person(ctx context.Context, sub string) (Person, error) {
	r, err := one(s.read(ctx), personFields, "SELECT "+s.personColumns()+" FROM users u WHERE u.sub = $1", sub)
	if err != nil {
		return Person{}, err
	}
	return r.person()
}

// UserByName finds a person by normalised user name.
func (s *Store) UserByName(ctx context.Context, username string) (User, error) {
	return one(s.read(ctx), userFields, "SELECT "+userColumns+" FROM users u WHERE u.username = $1", username)
}

// Users lists people by user name, at most limit after the first offset.
func (s *Store) Users(ctx context.Context, limit, offset int) ([]User, error) {
	return many(s.read(ctx), userFields, "SELECT "+userColumns+" FROM users u ORDER BY u.username LIMIT $1 OFFSET $2", limit, offset)
}

// HasMember tells whether an enabled person is in the group.
func (s *Store) HasMember(ctx context.Context, group string) (bool, error) {
	return s.read(ctx).hasMember(group)
}

// SetDisabled disables or enables a person. Disabling ends their sessions,
// revokes every token family and voids their one-time links at once; it returns
// the sessions that ended. ErrLastAdministrator: nobody else could administer.
func (s *Store) SetDisabled(ctx context.Context, sub string, disabled bool) (ended []Session, err error) {
	err = s.tx(ctx, "set_disabled", func(q *Queries) error {
		return q.keepAdministrator(func() error {
			n, err := q.exec("UPDATE users SET disabled = $2, updated_at = $3, version = version + 1 WHERE sub = $1", sub, disabled, at(q.now))
			if err == nil && n == 0 {
				err = ErrNotFound
			}
			if err != nil {
				return err
			}
			// From here on an administrator decides, and not what PeeringDB says.
			if err := q.must("UPDATE peeringdb_links SET deactivated_at = NULL WHERE sub = $1", sub); err != nil || !disabled {
				return err
			}
			ended, err = q.signOutEverywhere(sub)
			return err
		})
	})
	return ended, err
}

// DeleteUser removes a person and all that hangs on them; events stay. It
// returns the sessions that ended. ErrLastAdministrator: nobody else could
// administer.
func (s *Store) DeleteUser(ctx context.Context, sub string) (ended []Session, err error) {
	err = s.tx(ctx, "delete_user", func(q *Queries) error {
		return q.keepAdministrator(func() (err error) {
			if ended, err = q.signOutEverywhere(sub); err != nil {
				return err
			}
			n, err := q.exec("DELETE FROM users WHERE sub = $1", sub)
			if err == nil && n == 0 {
				err = ErrNotFound
			}
			return err
		})
	})
	return ended, err
}

// signOutEverywhere ends sessions, sign-ins in progress, links and token families.
func (q *Queries) signOutEverywhere(sub string) ([]Session, error) {
	for _, statement := range []string{"DELETE FROM signins WHERE sub = $1", "DELETE FROM links WHERE sub = $1"} {
		if err := q.must(statement, sub); err != nil {
			return nil, err
		}
	}
	return q.endAccess(sub, "")
}

// endAccess ends a person's sessions, save the one to keep ("" for none), and
// all that was handed out: unused codes and every token family. Clients whose
// session ended long ago, but whose family lived on, are told too. It
// returns the sessions that ended.
func (q *Queries) endAccess(sub, keep string) ([]Session, error) {
	ended, err := q.endSessions("sub = $1 AND id <> $2", sub, keep)
	if err != nil {
		return nil, err
	}
	living, err := many(q, familyFields, "SELECT "+familyColumns+" FROM families f WHERE f.sub = $1 AND f.revoked_at IS NULL AND f.expires_at > $2", sub, at(q.now))
	if err != nil {
		return nil, err
	}
	told := map[string]bool{}
	for _, f := range living {
		inEnded := slices.ContainsFunc(ended, func(s Session) bool { return s.ID == f.SessionID })
		if inEnded || told[f.ClientID] {
			continue
		}
		told[f.ClientID] = true
		if err := q.addLogout(f.ClientID, sub, ""); err != nil {
			return nil, err
		}
	}
	for _, statement := range []string{"DELETE FROM codes WHERE sub = $1 AND used_at IS NULL", "DELETE FROM device_codes WHERE sub = $1 AND used_at IS NULL"} {
		if err := q.must(statement, sub); err != nil {
			return nil, err
		}
	}
	return ended, q.must("UPDATE families SET revoked_at = $2 WHERE sub = $1 AND revoked_at IS NULL", sub, at(q.now))
}

// SignOutEverywhere ends a person's sessions, tokens and refresh families, and
// returns the sessions that ended; with consents, what they agreed to as well.
func (s *Store) SignOutEverywhere(ctx context.Context, sub string, consents bool) (ended []Session, err error) {
	err = s.tx(ctx, "sign_out_everywhere", func(q *Queries) (err error) {
		if consents {
			if err := q.noteConsents(sub); err != nil {
				return err
			}
			if err := q.must("DELETE FROM consents WHERE sub = $1", sub); err != nil {
				return err
			}
		}
		ended, err = q.signOutEverywhere(sub)
		return err
	})
	return ended, err
}

// PasswordHash gives the PHC string of a person's password; ErrNotFound when
// they have none of ours.
func (s *Store) PasswordHash(ctx context.Context, sub string) (string, error) {
	return one(s.read(ctx), text, "SELECT password_hash FROM credentials WHERE sub = $1", sub)
}

// ReplacePasswordHash swaps one hash of the same password for another (new
// parameters). It does nothing when the password was changed meanwhile.
func (s *Store) ReplacePasswordHash(ctx context.Context, sub, old, fresh string) error {
	return s.tx(ctx, "replace_password_hash", func(q *Queries) error {
		return q.must("UPDATE credentials SET password_hash = $3 WHERE sub = $1 AND password_hash = $2", sub, old, fresh)
	})
}

// SetPassword stores a new password's hash and signs the person out
// everywhere, save the session keep (its id; "" keeps none).
func (s *Store) SetPassword(ctx context.Context, sub, hash, keep string) error {
	return s.tx(ctx, "set_password", func(q *Queries) error {
		if err := q.putPasswordHash(sub, hash); err != nil {
			return err
		}
		_, err := q.endOthers(sub, keep)
		return err
	})
}

// ChangePassword is SetPassword for a person who proved to know the password
// that old is the hash of: it ends all they have open save the session keep
// (its id) and returns the sessions that ended. ErrNotFound: the password was
// changed meanwhile, so what they proved is worth nothing.
func (s *Store) ChangePassword(ctx context.Context, sub, old, hash, keep string) (ended []Session, err error) {
	err = s.tx(ctx, "change_password", func(q *Queries) error {
		n, err := q.exec("UPDATE credentials SET password_hash = $3, changed_at = $4 WHERE sub = $1 AND password_hash = $2", sub, old, hash, at(q.now))
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		ended, err = q.endOthers(sub, keep)
		return err
	})
	return ended, err
}

// EndOthers ends all that a person has open save the session keep (its id):
// sessions, which it returns, half-done sign-ins and enrolments, links for the
// password, and every token that was handed out.
func (s *Store) EndOthers(ctx context.Context, sub, keep string) (ended []Session, err error) {
	err = s.tx(ctx, "end_others", func(q *Queries) (err error) {
		ended, err = q.endOthers(sub, keep)
		return err
	})
	return ended, err
}

func (q *Queries) endOthers(sub, keep string) ([]Session, error) {
	for _, statement := range []string{"DELETE FROM signins WHERE sub = $1", "DELETE FROM factors WHERE sub = $1 AND pending = TRUE",
		// What was mailed for the password before must not undo this one.
		"DELETE FROM links WHERE sub = $1 AND purpose IN ('password', 'invitation')"} {
		if err := q.must(statement, sub); err != nil {
			return nil, err
		}
	}
	return q.endAccess(sub, keep)
}

func (q *Queries) putPasswordHash(sub, hash string) error {
	return q.must(`INSERT INTO credentials (sub, password_hash, changed_at) VALUES ($1, $2, $3)
		ON CONFLICT (sub) DO UPDATE SET password_hash = excluded.password_hash, changed_at = excluded.changed_at`, sub, hash, at(q.now))
}
