package store

import (
	"context"
	"errors"
	"time"
)

// Group is a local group.
type Group struct {
	Name      string
	Members   int64
	CreatedAt time.Time
}

const groupColumns = "g.name, (SELECT COUNT(*) FROM group_members m WHERE m.group_name = g.name), g.created_at"

func groupFields(g *Group) []any { return []any{&g.Name, &g.Members, stamp{&g.CreatedAt}} }

// Groups lists local groups by name with the number of their members.
func (s *Store) Groups(ctx context.Context) ([]Group, error) {
	return many(s.read(ctx), groupFields, "SELECT "+groupColumns+" FROM local_groups g ORDER BY g.name")
}

// GroupsOf lists a person's local groups by name.
func (s *Store) GroupsOf(ctx context.Context, sub string) ([]string, error) {
	return many(s.read(ctx), text, "SELECT group_name FROM group_members WHERE sub = $1 ORDER BY group_name", sub)
}

// Members lists the people of a group by user name, at most limit after the
// first offset.
func (s *Store) Members(ctx context.Context, group string, limit, offset int) ([]User, error) {
	return many(s.read(ctx), userFields, "SELECT "+userColumns+" FROM users u JOIN group_members m ON m.sub = u.sub WHERE m.group_name = $1 ORDER BY u.username LIMIT $2 OFFSET $3", group, limit, offset)
}

// Group finds a local group.
func (s *Store) Group(ctx context.Context, name string) (Group, error) {
	return one(s.read(ctx), groupFields, "SELECT "+groupColumns+" FROM local_groups g WHERE g.name = $1", name)
}

// CreateGroup adds an empty local group.
func (s *Store) CreateGroup(ctx context.Context, name string) error {
	return s.tx(ctx, "create_group", func(q *Queries) error {
		return q.must("INSERT INTO local_groups (name, created_at) VALUES ($1, $2)", name, at(q.now))
	})
}

// DeleteGroup removes a local group; its members lose it.
// ErrLastAdministrator: they were the administrators.
func (s *Store) DeleteGroup(ctx context.Context, name string) error {
	return s.tx(ctx, "delete_group", func(q *Queries) error {
		return q.keepAdministrator(func() error {
			if err := q.must("UPDATE users SET version = version + 1 WHERE sub IN (SELECT sub FROM group_members WHERE group_name = $1)", name); err != nil {
				return err
			}
			n, err := q.exec("DELETE FROM local_groups WHERE name = $1", name)
			if err == nil && n == 0 {
				err = ErrNotFound
			}
			return err
		})
	})
}

// ChangeMembers adds people (by subject) to a group or removes them, all or
// none. ErrNotFound: no such group or person. ErrLastAdministrator: nobody
// would be left in the administrators' group.
func (s *Store) ChangeMembers(ctx context.Context, group string, subs []string, add bool) error {
	return s.tx(ctx, "change_members", func(q *Queries) error {
		if _, err := one(q, text, "SELECT name FROM local_groups WHERE name = $1", group); err != nil {
			return err
		}
		change := q.removeMember
		if add {
			change = q.addMember
		}
		return q.keepAdministrator(func() error {
			for _, sub := range subs {
				if err := change(group, sub); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// keepAdministrator runs a change that may take the last administrator away,
// and refuses it then. Two such changes at once wait for each other at the
// group's row: each alone would still see the other's administrator.
func (q *Queries) keepAdministrator(change func() error) error {
	group := q.store.admins
	if group == "" {
		return change()
	}
	if err := q.must("UPDATE local_groups SET created_at = created_at WHERE name = $1", group); err != nil {
		return err
	}
	before, err := q.hasMember(group)
	if err != nil {
		return err
	}
	if err := change(); err != nil || !before {
		return err
	}
	after, err := q.hasMember(group)
	if err == nil && !after {
		err = ErrLastAdministrator
	}
	return err
}

// hasMember tells whether an enabled person is in the group.
func (q *Queries) hasMember(group string) (bool, error) {
	_, err := one(q, text, `SELECT u.sub FROM group_members m JOIN users u ON u.sub = m.sub
		WHERE m.group_name = $1 AND u.disabled = FALSE LIMIT 1`, group)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (q *Queries) addMember(group, sub string) error {
	n, err := q.insertMember(group, sub)
	return q.countChange(n, err, sub)
}

func (q *Queries) insertMember(group, sub string) (rows int64, err error) {
	return q.exec("INSERT INTO group_members (group_name, sub) VALUES ($1, $2) ON CONFLICT DO NOTHING", group, sub)
}

func (q *Queries) removeMember(group, sub string) error {
	n, err := q.exec("DELETE FROM group_members WHERE group_name = $1 AND sub = $2", group, sub)
	return q.countChange(n, err, sub)
}

// countChange raises a person's version when a statement has changed them.
func (q *Queries) countChange(rows int64, err error, sub string) error {
	if err != nil || rows == 0 {
		return err
	}
	return q.must("UPDATE users SET version = version + 1 WHERE sub = $1", sub)
}
