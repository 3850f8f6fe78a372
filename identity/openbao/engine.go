package openbao

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"peerage/identity"
)

// Role is a role of a secrets engine. The zero Role is none.
type Role struct {
	// Mount is the path of the engine.
	Mount string
	Name  string
}

// ParseRole reads MOUNT/ROLE; "" is no role.
func ParseRole(text string) (Role, error) {
	if text == "" {
		return Role{}, nil
	}
	end := strings.LastIndex(text, "/")
	if end < 0 {
		return Role{}, errors.New("is not MOUNT/ROLE, such as pki/people")
	}
	r := Role{text[:end], text[end+1:]}
	if err := r.at("{mount}/roles/{}").err; err != nil {
		return Role{}, fmt.Errorf("is not MOUNT/ROLE: %w", err)
	}
	return r, nil
}

// On tells whether there is such a role.
func (r Role) On() bool { return r != Role{} }

// at is a path of the engine that ends with the role.
func (r Role) at(pattern string) path { return at(pattern, r.Mount, r.Name) }

// Engines are the secrets engines that people get something from.
type Engines struct {
	// Kubernetes gives tokens for a cluster.
	Kubernetes Role
	// PKI signs client certificates.
	PKI Role
}

// check refuses what can be no path.
func (e Engines) check() error {
	for _, r := range []Role{e.Kubernetes, e.PKI} {
		if r.On() && r.at("{mount}/roles/{}").err != nil {
			return fmt.Errorf("the role %s of %s: %w", r.Name, r.Mount, r.at("{mount}/roles/{}").err)
		}
	}
	return nil
}

// readRole reads a role of a secrets engine: what of it matters is in T.
func readRole[T any](ctx context.Context, c *Client, token string, r Role) (role T, err error) {
	got, err := c.do(ctx, request{operation: "read_role", method: "GET", path: r.at("{mount}/roles/{}"), token: token})
	if err == nil {
		err = got.decode(&role)
	}
	return role, err
}

// askRole reads one with the service credential, for the pages.
func askRole[T any](ctx context.Context, b *Backend, r Role) (role T, err error) {
	token, err := b.token()
	if err != nil {
		return role, err
	}
	role, err = readRole[T](ctx, b.client, token, r)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrForbidden) {
		err = &Error{Operation: "read_role", Kind: identity.ErrUnavailable, Reason: "the role is missing, or the service credential may not read it"}
	}
	return role, err
}

var (
	// ErrNoToken: what was asked for takes the person's own token, and their
	// session has none, or one that has ended. They get one by their password.
	ErrNoToken = errors.New("the session holds no token of OpenBao")
	// ErrNotTheirs: the person has no such thing; nobody is told whether
	// somebody else has.
	ErrNotTheirs = errors.New("the person has no such thing")
)

// asPerson sends a request with a person's own token, so that OpenBao and not
// peerage decides what they may. Errors beside those of do: ErrNoToken.
func (b *Backend) asPerson(ctx context.Context, token []byte, r request) (answer, error) {
	if len(token) == 0 {
		return answer{}, ErrNoToken
	}
	r.token = string(token)
	got, err := b.client.do(ctx, r)
	if !errors.Is(err, ErrForbidden) {
		return got, err
	}
	// A dead token and a right that is missing are one answer.
	if _, asked := b.client.lookUp(ctx, r.token); errors.Is(asked, ErrForbidden) {
		return answer{}, ErrNoToken
	} else if asked != nil {
		return answer{}, asked
	}
	return answer{}, err
}

// event tells the audit trail what came of something that a person asked for.
func (b *Backend) event(ctx context.Context, name string, u identity.User, err error, detail ...slog.Attr) {
	e := identity.Event{Name: name, User: u.Username, Sub: u.Sub, Result: "success", Detail: detail}
	switch {
	case errors.Is(err, identity.ErrUnavailable):
		e.Result = "unavailable"
	case err != nil:
		e.Result = "failure"
	}
	b.audit.Event(ctx, e)
}

// Namespace is the namespace in which everything is, "" for the root one.
func (b *Backend) Namespace() string { return strings.TrimRight(b.client.ours.Namespace(), "/") }
