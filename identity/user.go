package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"peerage/identity/peeringdb"
	"peerage/store"
)

// OriginLocal marks people whose password is kept in peerage itself.
const OriginLocal = "local"

// User is a person with the groups of now.
type User struct {
	store.User
	// Groups are sorted. Those such as as64500 come from affiliations alone.
	Groups []string
	// Memberships are the same groups with who says so.
	Memberships []Membership
	// Networks are those that the person acts for, by ASN, each once.
	Networks []peeringdb.Affiliation
	// Suspended: networks that PeeringDB gave are withheld, for it has not
	// answered well about this person for too long.
	Suspended bool
	// adminHere: in this session the person administers by a network of theirs.
	adminHere bool
}

// Membership is one group of a person.
type Membership struct {
	Group string
	// Origin is OriginLocal or the backend's origin, for a group of a network
	// the origin of the affiliation; a group that both name is local.
	Origin string
}

// In tells whether the person is in any of the groups.
func (u User) In(groups []string) bool {
	return slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(u.Groups, g) })
}

// User finds a person by subject identifier, with the groups of now.
// ErrUnavailable: their backend must be asked and does not answer.
func (d *Directory) User(ctx context.Context, sub string) (User, error) {
	p, err := d.store.Person(ctx, sub)
	if err != nil {
		return User{}, err
	}
	return d.Person(ctx, p)
}

// UserByName finds a person by user name in any spelling.
func (d *Directory) UserByName(ctx context.Context, name string) (User, error) {
	u, err := d.store.UserByName(ctx, NormalizeUsername(name))
	return d.withGroups(ctx, u, err)
}

// Here is what is known here of a person, without asking their backend: for
// lists that go on while it is away.
func (d *Directory) Here(ctx context.Context, u store.User) (User, error) {
	groups, err := d.store.GroupsOf(ctx, u.Sub)
	user := User{User: u, Groups: Emittable(groups)}
	user.add(OriginLocal, groups)
	return user, err
}

func (d *Directory) withGroups(ctx context.Context, u store.User, err error) (User, error) {
	if err != nil {
		return User{}, err
	}
	return d.User(ctx, u.Sub)
}

// Person adds what only the backend can say of somebody to what the store
// knows of them. ErrUnavailable: see User.
func (d *Directory) Person(ctx context.Context, p store.Person) (User, error) {
	u := p.User
	user := User{User: u}
	user.add(OriginLocal, p.Groups)
	d.addNetworks(&user, p)
	if b, ok := d.backends[u.Origin]; ok {
		state, err := b.State(ctx, user)
		if err != nil {
			return User{}, err
		}
		user.add(u.Origin, state.Groups)
		user.TOTP, user.Disabled = state.TOTP, u.Disabled || state.Disabled
	}
	slices.SortStableFunc(user.Memberships, func(a, b Membership) int { return strings.Compare(a.Group, b.Group) })
	user.Memberships = slices.CompactFunc(user.Memberships, func(a, b Membership) bool { return a.Group == b.Group })
	user.Groups = make([]string, 0, len(user.Memberships))
	for _, m := range user.Memberships {
		user.Groups = append(user.Groups, m.Group)
	}
	return user, nil
}

// add puts a person into groups that one origin says they are in.
func (u *User) add(origin string, groups []string) {
	for _, g := range Emittable(groups) {
		u.Memberships = append(u.Memberships, Membership{g, origin})
	}
}

// NewUser is a person to be made.
type NewUser struct {
	Username      string
	Name          string
	Email         string
	EmailVerified bool
	Groups        []string
	// Password may be empty: the person cannot sign in by password then.
	Password string
	// Local makes them a local person beside another backend.
	Local bool
}

// CreateUser makes a person where people are kept. store.ErrExists: the name is
// taken. store.ErrNotFound: one of the groups does not exist. ErrNotGranted: the
// backend does not let us. ErrUnavailable: it cannot be asked.
func (d *Directory) CreateUser(ctx context.Context, n NewUser) (User, error) {
	if n.Password != "" {
		if err := CheckPassword(NormalizeUsername(n.Username), n.Password); err != nil {
			return User{}, err
		}
	}
	u, err := d.makeUser(ctx, n, func(u store.User, a Account) error { return d.store.CreateUser(ctx, u, a.PasswordHash, n.Groups) })
	if err != nil {
		return User{}, err
	}
	return d.User(ctx, u.Sub)
}

// makeUser makes a person's account at their backend and then, by put, their
// row. Without the row there is no account either.
func (d *Directory) makeUser(ctx context.Context, n NewUser, put func(store.User, Account) error) (u store.User, err error) {
	n.Username = NormalizeUsername(n.Username)
	n.EmailVerified = n.EmailVerified && n.Email != ""
	if err := errors.Join(CheckUsername(n.Username), CheckName(n.Name), CheckEmail(n.Email)); err != nil {
		return u, err
	}
	b := d.primary
	if n.Local {
		b = d.backends[OriginLocal]
	}
	if err := d.nameFree(ctx, b, n); err != nil {
		return u, err
	}
	a, err := b.NewAccount(ctx, n)
	if err != nil {
		return u, err
	}
	u = store.User{Sub: a.Sub, Origin: b.Origin(), Username: n.Username, Name: n.Name, Email: n.Email, EmailVerified: n.EmailVerified}
	if err := put(u, a); err != nil {
		return u, errors.Join(err, b.RemoveAccount(context.WithoutCancel(ctx), User{User: u}))
	}
	d.created(ctx, u, n.Groups)
	return u, nil
}

// nameFree refuses a name that anybody has, here or at another backend than the
// person's own, which refuses by itself; and groups that do not exist.
func (d *Directory) nameFree(ctx context.Context, own Backend, n NewUser) error {
	if _, err := d.store.UserByName(ctx, n.Username); err == nil {
		return store.ErrExists
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for _, b := range d.backends {
		if b == own || b.Origin() == OriginLocal {
			continue
		}
		if taken, err := b.HasAccount(ctx, n.Username); err != nil {
			return err
		} else if taken {
			return store.ErrExists
		}
	}
	for _, g := range n.Groups {
		if _, err := d.store.Group(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// created tells of a new person and the groups that they were put into.
func (d *Directory) created(ctx context.Context, u store.User, groups []string) {
	d.personEvent(ctx, "user_create", User{User: u})
	for _, g := range groups {
		d.personEvent(ctx, "group_member_add", User{User: u}, slog.String("group", g))
	}
}

// SetPassword sets a person's password without asking for the old one and signs
// them out everywhere. An error of CheckPassword changes nothing.
func (d *Directory) SetPassword(ctx context.Context, u User, password string) error {
	b, err := d.backendOf(u)
	if err != nil {
		return err
	}
	if err = CheckPassword(u.Username, password); err == nil {
		err = b.SetPassword(ctx, u, password)
	}
	d.metrics.password.WithLabelValues(resultOf(err)).Inc()
	d.Audit.Event(ctx, Event{Name: "password_change", User: u.Username, Sub: u.Sub, Result: resultOf(err)})
	if err == nil {
		d.notify(ctx, u, MailPasswordChanged)
	}
	return err
}

func (d *Directory) backendOf(u User) (Backend, error) {
	b, ok := d.backends[u.Origin]
	if !ok {
		return nil, fmt.Errorf("people of origin %q: %w", u.Origin, errors.ErrUnsupported)
	}
	return b, nil
}
