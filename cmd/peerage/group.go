package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

type groupCommands struct {
	List   groupListCommand   `cmd:"" help:"List the local groups."`
	Create groupCreateCommand `cmd:"" help:"Make an empty group."`
	Delete groupDeleteCommand `cmd:"" help:"Delete a group; its members lose it."`
	Add    groupAddCommand    `cmd:"" help:"Put people into a group, all or none."`
	Remove groupRemoveCommand `cmd:"" help:"Take people out of a group, all or none."`
}

type groupJSON struct {
	Name      string     `json:"name"`
	Members   []string   `json:"members"`
	CreatedAt *time.Time `json:"created_at"`
}

type groupListCommand struct {
	JSON bool `name:"json" help:"Print one JSON array."`
}

// Run lists the local groups.
func (c groupListCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	groups, err := in.store.Groups(ctx)
	if err != nil {
		return fmt.Errorf("listing groups: %w", err)
	}
	if !c.JSON {
		var rows [][]string
		for _, g := range groups {
			rows = append(rows, []string{g.Name, strconv.FormatInt(g.Members, 10), shownTime(g.CreatedAt)})
		}
		return printTable(p.stdout, []string{"GROUP", "MEMBERS", "CREATED"}, rows)
	}
	list := make([]groupJSON, 0, len(groups))
	for _, g := range groups {
		members, err := in.members(ctx, g.Name)
		if err != nil {
			return fmt.Errorf("listing the members of %s: %w", g.Name, err)
		}
		names := make([]string, 0, len(members))
		for _, m := range members {
			names = append(names, m.Username)
		}
		list = append(list, groupJSON{g.Name, names, jsonTime(g.CreatedAt)})
	}
	return printJSON(p.stdout, list)
}

type groupCreateCommand struct {
	Group string `arg:"" help:"Name of the group."`
}

// Run makes a group.
func (c groupCreateCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	err = in.directory.CreateGroup(ctx, c.Group)
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("there is already a group called %q", c.Group)
	}
	if err != nil {
		return fmt.Errorf("making the group %q: %w", c.Group, err)
	}
	fmt.Fprintf(p.stdout, "made the group %s\nnext: peerage group add %s NAME puts somebody into it\n", c.Group, shellWord(c.Group))
	return nil
}

type groupDeleteCommand struct {
	Group string `arg:"" help:"Name of the group."`
}

// Run deletes a group.
func (c groupDeleteCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	err = in.directory.DeleteGroup(ctx, c.Group)
	if errors.Is(err, identity.ErrAdminGroup) {
		return fmt.Errorf("%q is the group of the administrators (PEERAGE_ADMIN_GROUP) and stays", c.Group)
	}
	if errors.Is(err, store.ErrNotFound) {
		return noGroup(c.Group)
	}
	if err != nil {
		return fmt.Errorf("deleting the group %q: %w", c.Group, err)
	}
	fmt.Fprintf(p.stdout, "deleted the group %s\n", c.Group)
	return nil
}

type groupAddCommand struct {
	Group string   `arg:"" help:"Name of the group."`
	User  []string `arg:"" help:"User names."`
}

// Run adds people to a group.
func (c groupAddCommand) Run(ctx context.Context, p *program) error {
	return changeMembers(ctx, p, c.Group, c.User, true)
}

type groupRemoveCommand struct {
	Group string   `arg:"" help:"Name of the group."`
	User  []string `arg:"" help:"User names."`
}

// Run removes people from a group.
func (c groupRemoveCommand) Run(ctx context.Context, p *program) error {
	return changeMembers(ctx, p, c.Group, c.User, false)
}

func changeMembers(ctx context.Context, p *program, group string, names []string, add bool) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	if err := in.mustHaveGroups(ctx, []string{group}); err != nil {
		return err
	}
	var people []identity.User
	for _, name := range names {
		u, err := in.user(ctx, name)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(people, func(p identity.User) bool { return p.Sub == u.Sub }) {
			people = append(people, u)
		}
	}
	changed, err := in.directory.ChangeMembers(ctx, group, people, add)
	if err != nil {
		return in.refused(fmt.Sprintf("changing the group %q", group), err)
	}
	said, already := "took %s out of %s\n", "%s was not in %s\n"
	if add {
		said, already = "put %s into %s\n", "%s is in %s already\n"
	}
	for _, u := range people {
		line := already
		if slices.ContainsFunc(changed, func(c identity.User) bool { return c.Sub == u.Sub }) {
			line = said
		}
		fmt.Fprintf(p.stdout, line, u.Username, group)
	}
	return nil
}

// members reads all people of a group.
func (in *installation) members(ctx context.Context, group string) ([]store.User, error) {
	const page = 500
	var all []store.User
	for {
		users, err := in.store.Members(ctx, group, page, len(all))
		if err != nil {
			return nil, err
		}
		if all = append(all, users...); len(users) < page {
			return all, nil
		}
	}
}

// warnOfGroups tells of the first group that is to use a client and that nobody
// is in. Groups of networks are not made, nor are those of OpenBao made here.
func (in *installation) warnOfGroups(ctx context.Context, p *program, id string, names []string) {
	if in.people != nil {
		return
	}
	names = slices.DeleteFunc(slices.Clone(names), ofNetwork)
	if err := in.mustHaveGroups(ctx, names); err != nil {
		fmt.Fprintf(p.stderr, "peerage: nobody can use %s through it yet: %v\n", id, err)
	}
}

// mustHaveGroups names the first group that does not exist.
func (in *installation) mustHaveGroups(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	groups, err := in.store.Groups(ctx)
	if err != nil {
		return fmt.Errorf("listing groups: %w", err)
	}
	known := map[string]bool{}
	for _, g := range groups {
		known[g.Name] = true
	}
	for _, name := range names {
		if !known[name] {
			return noGroup(name)
		}
	}
	return nil
}

// ofNetwork tells whether a group is that of a network, whose members are those
// who act for it.
func ofNetwork(name string) bool {
	return identity.CheckMembership(name) == nil && identity.CheckGroupName(name) != nil
}

func noGroup(name string) error {
	if ofNetwork(name) {
		return fmt.Errorf("nobody is put into %q by hand; peerage user affiliation add NAME ASN lets somebody act for that network", name)
	}
	return fmt.Errorf("there is no group called %q; peerage group create %s makes it", name, shellWord(name))
}

// shellWord writes a name as it is typed in a shell.
func shellWord(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("_.:/-", r) && !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}
