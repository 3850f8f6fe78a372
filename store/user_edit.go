package store

import (
	"context"
	"slices"
)

// UserEdit is what an administrator changes of a person.
type UserEdit struct {
	Sub string
	// Version is the one that the administrator has seen; 0 changes whatever
	// there is.
	Version       int64
	Name          string
	Email         string
	EmailVerified bool
	// Groups are the local groups from now on.
	Groups []string
}

// UserChange tells what an edit has changed.
type UserChange struct {
	Before         User     // without groups
	Fields         []string // such as name, email, email_verified
	Joined, Parted []string // groups
}

// Empty tells that nothing was changed.
func (c UserChange) Empty() bool { return len(c.Fields)+len(c.Joined)+len(c.Parted) == 0 }

// EditUser changes a person and their local groups at once. ErrConflict:
// somebody else changed them since Version. ErrNotFound: no such person or
// group. ErrLastAdministrator: nobody would be left to administer.
func (s *Store) EditUser(ctx context.Context, e UserEdit) (UserChange, error) {
	var change UserChange
	err := s.tx(ctx, "edit_user", func(q *Queries) error {
		change = UserChange{}
		return q.keepAdministrator(func() error { return q.editUser(e, &change) })
	})
	return change, err
}

func (q *Queries) editUser(e UserEdit, change *UserChange) error {
	old, err := one(q, userFields, "SELECT "+userColumns+" FROM users u WHERE u.sub = $1", e.Sub)
	if err != nil {
		return err
	}
	if e.Version != 0 && e.Version != old.Version {
		return ErrConflict
	}
	change.Before = old
	fresh := old
	fresh.Name, fresh.Email, fresh.EmailVerified = e.Name, e.Email, e.EmailVerified
	if fresh.Name != old.Name {
		// The parts of another name are no longer parts of this one.
		fresh.GivenName, fresh.FamilyName = "", ""
		change.Fields = append(change.Fields, "name")
	}
	if fresh.Email != old.Email {
		change.Fields = append(change.Fields, "email")
	}
	if fresh.EmailVerified != old.EmailVerified {
		change.Fields = append(change.Fields, "email_verified")
	}
	if len(change.Fields) > 0 {
		if err := q.putPerson(fresh); err != nil {
			return err
		}
	}
	return q.putGroups(e.Sub, e.Groups, change)
}

// PutProfile gives a person the name and e-mail address of u, which their
// backend has. ErrNotFound: no such person.
func (s *Store) PutProfile(ctx context.Context, u User) error {
	return s.tx(ctx, "put_profile", func(q *Queries) error {
		row, err := one(q, userFields, "SELECT "+userColumns+" FROM users u WHERE u.sub = $1", u.Sub)
		if err != nil {
			return err
		}
		if row.Name != u.Name {
			row.GivenName, row.FamilyName = "", ""
		}
		row.Name, row.Email, row.EmailVerified = u.Name, u.Email, u.EmailVerified
		return q.putPerson(row)
	})
}

func (q *Queries) putPerson(u User) error {
	err := q.must(`UPDATE users SET name = $2, given_name = $3, family_name = $4, email = $5, email_verified = $6, updated_at = $7, version = version + 1
		WHERE sub = $1`, u.Sub, u.Name, u.GivenName, u.FamilyName, u.Email, u.EmailVerified, at(q.now))
	if err != nil {
		return err
	}
	return q.putWords(u)
}

// putGroups makes these a person's local groups.
func (q *Queries) putGroups(sub string, groups []string, change *UserChange) error {
	old, err := many(q, text, "SELECT group_name FROM group_members WHERE sub = $1 ORDER BY group_name", sub)
	if err != nil {
		return err
	}
	for _, g := range old {
		if !slices.Contains(groups, g) {
			if err := q.removeMember(g, sub); err != nil {
				return err
			}
			change.Parted = append(change.Parted, g)
		}
	}
	for _, g := range groups {
		if !slices.Contains(old, g) && !slices.Contains(change.Joined, g) {
			if err := q.addMember(g, sub); err != nil {
				return err
			}
			change.Joined = append(change.Joined, g)
		}
	}
	return nil
}
