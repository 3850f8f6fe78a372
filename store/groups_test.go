package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestGroups(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.CreateGroup(ctx, "noc"), nil)
		want(t, w.CreateGroup(ctx, "noc"), store.ErrExists)
		ana, ben := w.person(t), w.person(t)
		want(t, w.ChangeMembers(ctx, "noc", []string{ben.Sub, ana.Sub, ana.Sub}, true), nil)
		want(t, w.ChangeMembers(ctx, "noc", []string{ana.Sub}, true), nil)
		groups, err := w.Groups(ctx)
		want(t, err, nil)
		if diff := cmp.Diff([]store.Group{{Name: "admins"}, {Name: "noc", Members: 2, CreatedAt: beginning}}, groups,
			cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "CreatedAt" }, cmp.Ignore())); diff != "" {
			t.Fatalf("groups (-want +got):\n%s", diff)
		}
		members, err := w.Members(ctx, "noc", 100, 0)
		want(t, err, nil)
		if len(members) != 2 || members[0].Sub != ana.Sub || members[1].Sub != ben.Sub {
			t.Fatalf("members %+v", members)
		}
		want(t, w.ChangeMembers(ctx, "admins", []string{ana.Sub}, true), nil)
		person, err := w.Person(ctx, ana.Sub)
		want(t, err, nil)
		if diff := cmp.Diff([]string{"admins", "noc"}, person.Groups); diff != "" || person.Username != ana.Username {
			t.Fatalf("person %+v, groups (-want +got):\n%s", person, diff)
		}
		want(t, w.ChangeMembers(ctx, "noc", []string{ana.Sub, "nobody"}, false), nil)
		if members, err = w.Members(ctx, "noc", 100, 0); err != nil || len(members) != 1 {
			t.Fatalf("members %+v, %v", members, err)
		}
		want(t, w.DeleteGroup(ctx, "noc"), nil)
		want(t, w.DeleteGroup(ctx, "noc"), store.ErrNotFound)
		if list, err := w.GroupsOf(ctx, ben.Sub); err != nil || len(list) != 0 {
			t.Fatalf("groups of a member of a deleted group: %v, %v", list, err)
		}
		if p, err := w.Person(ctx, ben.Sub); err != nil || len(p.Groups) != 0 {
			t.Fatalf("groups of a member of a deleted group: %v, %v", p.Groups, err)
		}
		_, err = w.Person(ctx, "nobody")
		want(t, err, store.ErrNotFound)
	})
}

func TestChangeMembersAllOrNone(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		ana := w.person(t)
		want(t, w.ChangeMembers(ctx, "admins", []string{ana.Sub, "nobody"}, true), store.ErrNotFound)
		if list, err := w.GroupsOf(ctx, ana.Sub); err != nil || len(list) != 0 {
			t.Fatalf("half of a refused change stayed: %v, %v", list, err)
		}
		want(t, w.ChangeMembers(ctx, "missing", []string{ana.Sub}, true), store.ErrNotFound)
		want(t, w.ChangeMembers(ctx, "missing", nil, false), store.ErrNotFound)
	})
}

func TestHasMemberCountsEnabledPeople(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		has := func(expected bool) {
			t.Helper()
			got, err := w.HasMember(ctx, "admins")
			want(t, err, nil)
			if got != expected {
				t.Fatalf("has a member: %v, want %v", got, expected)
			}
		}
		has(false)
		u := w.person(t, "admins")
		has(true)
		want(t, w.SetDisabled(ctx, u.Sub, true), nil)
		has(false)
	})
}
