package portal

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

const pathGroups = "/admin/groups"

// groupsPage lists the local groups, shows one of them, or asks before it is
// deleted.
func (p *Portal) groupsPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	query := r.URL.Query()
	if !query.Has("group") {
		return p.groupList(w, r, v, "", Sentence{})
	}
	name := query.Get("group")
	if query.Get("ask") == "delete" && name != p.directory.AdminGroup {
		group, err := p.group(r, name)
		if err != nil {
			return err
		}
		return p.render.Render(w, http.StatusOK, &AskPage{Base: p.base(r, &v), Place: pathGroups, Title: Say("ask.group", "group", name),
			Text: Say("ask.group.text"), Consequences: []Sentence{Say("ask.group.members", "n", group.Members), Say("ask.group.access")},
			Action: pathGroups, Fields: []Hidden{{"group", name}}, Button: Hidden{"action", "delete"}, Submit: Say("groups.delete"), Back: group.Link})
	}
	return p.groupMembers(w, r, v, name, http.StatusOK, groupForm{})
}

// groupForm is what was typed to add somebody to a group.
type groupForm struct {
	username string
	wrong    Sentence
	fault    string
}

func (p *Portal) group(r *http.Request, name string) (GroupRow, error) {
	g, err := p.store.Group(r.Context(), name)
	if errors.Is(err, store.ErrNotFound) {
		return GroupRow{}, errNotFound
	}
	return p.groupRow(g), err
}

func (p *Portal) groupRow(g store.Group) GroupRow {
	row := GroupRow{Name: g.Name, Link: pathGroups + "?" + url.Values{"group": {g.Name}}.Encode(), Members: g.Members, Admins: g.Name == p.directory.AdminGroup}
	if g.CreatedAt.After(time.Unix(0, 0)) { // the first migration makes one at the beginning of time
		row.Created = g.CreatedAt
	}
	return row
}

func (p *Portal) groupList(w http.ResponseWriter, r *http.Request, v identity.Visitor, typed string, wrong Sentence) error {
	groups, err := p.store.Groups(r.Context())
	if err != nil {
		return err
	}
	page := &GroupsPage{Base: p.base(r, &v), Done: r.URL.Query().Get("done"),
		Name: Field{Name: "group", Label: Say("groups.name"), Hint: Say("groups.name.hint"), Value: typed, Fault: wrong, Required: true, Max: 128}}
	for _, g := range groups {
		page.Groups = append(page.Groups, p.groupRow(g))
	}
	status := http.StatusOK
	if page.Name.Faulty() {
		page.Fault, status = FaultForm, http.StatusUnprocessableEntity
	}
	return p.render.Render(w, status, page)
}

func (p *Portal) groupMembers(w http.ResponseWriter, r *http.Request, v identity.Visitor, name string, status int, f groupForm) error {
	group, err := p.group(r, name)
	if err != nil {
		return err
	}
	number := pageNumber(r.URL.Query())
	members, err := p.store.Members(r.Context(), name, usersPerPage+1, (number-1)*usersPerPage)
	if err != nil {
		return err
	}
	page := &GroupPage{Base: p.base(r, &v), Group: group, Done: r.URL.Query().Get("done"),
		Person: Field{Name: "username", Label: Say("users.username"), Value: f.username, Fault: f.wrong, Required: true, Max: 64},
		Pager:  newPager(pathGroups, url.Values{"group": {name}}, number, len(members) > usersPerPage)}
	page.Pager.Status = Say("groups.total", "n", group.Members)
	page.Fault = f.fault
	for _, u := range members[:min(len(members), usersPerPage)] {
		page.Members = append(page.Members, personRow(u))
	}
	return p.render.Render(w, status, page)
}

// changeGroup does what an administrator asked for.
func (p *Portal) changeGroup(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	name := strings.TrimSpace(r.PostForm.Get("group"))
	action := r.PostForm.Get("action")
	switch action {
	case "create":
		return p.createGroup(w, r, v, name)
	case "delete":
		err := p.directory.DeleteGroup(r.Context(), name)
		if errors.Is(err, identity.ErrAdminGroup) || errors.Is(err, store.ErrLastAdministrator) {
			return p.groupMembers(w, r, v, name, http.StatusUnprocessableEntity, groupForm{fault: FaultLastAdministrator})
		}
		if errors.Is(err, store.ErrNotFound) {
			err = errNotFound
		}
		if err != nil {
			return err
		}
		return see(w, pathGroups+"?done=group_deleted")
	case "add", "remove":
		return p.changeMember(w, r, v, name, action == "add")
	}
	return errBadAction
}

func (p *Portal) createGroup(w http.ResponseWriter, r *http.Request, v identity.Visitor, name string) error {
	if identity.CheckGroupName(name) != nil {
		return p.groupList(w, r, v, name, Say("groups.fault.name"))
	}
	err := p.directory.CreateGroup(r.Context(), name)
	if errors.Is(err, store.ErrExists) {
		return p.groupList(w, r, v, name, Say("groups.fault.taken"))
	}
	if err != nil {
		return err
	}
	return see(w, pathGroups+"?"+url.Values{"group": {name}, "done": {"group_created"}}.Encode())
}

func (p *Portal) changeMember(w http.ResponseWriter, r *http.Request, v identity.Visitor, group string, add bool) error {
	if _, err := p.group(r, group); err != nil {
		return err
	}
	typed := groupForm{username: strings.TrimSpace(r.PostForm.Get("username"))}
	u, err := p.directory.UserByName(r.Context(), typed.username)
	if err == nil {
		_, err = p.directory.ChangeMembers(r.Context(), group, []identity.User{u}, add)
	}
	switch {
	case errors.Is(err, store.ErrLastAdministrator):
		typed.username, typed.fault = "", FaultLastAdministrator
		return p.groupMembers(w, r, v, group, http.StatusUnprocessableEntity, typed)
	case errors.Is(err, store.ErrNotFound):
		typed.wrong, typed.fault = Say("groups.fault.nobody"), FaultForm
		return p.groupMembers(w, r, v, group, http.StatusUnprocessableEntity, typed)
	case err != nil:
		return err
	}
	done := "member_removed"
	if add {
		done = "member_added"
	}
	return see(w, pathGroups+"?"+url.Values{"group": {group}, "done": {done}}.Encode())
}
