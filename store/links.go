package store

import (
	"context"
	"time"
)

// What a link is for.
const (
	// PurposeFactor lets a person enrol a second factor again.
	PurposeFactor = "factor"
	// PurposePassword lets a person set a new password.
	PurposePassword = "password"
	// PurposeInvitation lets a person set their first password.
	PurposeInvitation = "invitation"
	// PurposeEmail proves that the person's e-mail address is theirs.
	PurposeEmail = "email"
)

// Link is a one-time link. Only the SHA-256 of its token is kept. It dies with
// its use, with a newer one, and when its person is disabled or gets another
// address than Email.
type Link struct {
	TokenHash []byte
	Sub       string
	Purpose   string
	Email     string
	CreatedAt time.Time
	ExpiresAt time.Time
}

func linkFields(l *Link) []any {
	return []any{&l.TokenHash, &l.Sub, &l.Purpose, &l.Email, stamp{&l.CreatedAt}, stamp{&l.ExpiresAt}}
}

const linkColumns = "token_hash, sub, purpose, email, created_at, expires_at"

// linkAlive is what a link must be, beside its token ($1) and purpose ($2).
const linkAlive = `token_hash = $1 AND purpose = $2 AND expires_at > $3
	AND EXISTS (SELECT 1 FROM users u WHERE u.sub = links.sub AND u.disabled = FALSE AND u.email = links.email)`

// putLink stores a link for a person who is enabled, bound to the address of
// now; an older one for the same purpose dies. ErrNotFound: no such person.
func (q *Queries) putLink(tokenHash []byte, sub, purpose string, lifetime time.Duration) (Link, error) {
	email, err := one(q, text, "SELECT email FROM users WHERE sub = $1", sub)
	if err != nil {
		return Link{}, err
	}
	if purpose == PurposePassword {
		// It does what the invitation does, and is newer.
		if err := q.must("DELETE FROM links WHERE sub = $1 AND purpose = $2", sub, PurposeInvitation); err != nil {
			return Link{}, err
		}
	}
	l := Link{tokenHash, sub, purpose, email, q.now, q.now.Add(lifetime)}
	return l, q.must(`INSERT INTO links (token_hash, sub, purpose, email, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (sub, purpose) DO UPDATE SET token_hash = excluded.token_hash, email = excluded.email, created_at = excluded.created_at, expires_at = excluded.expires_at`,
		l.TokenHash, l.Sub, l.Purpose, l.Email, at(l.CreatedAt), at(l.ExpiresAt))
}

// PutLink stores a link for a person together with the mail that carries it
// (nil for none), so that neither is there without the other. ErrNotFound: the
// person is gone or disabled, or their address is no longer email, to which
// the mail would go.
func (s *Store) PutLink(ctx context.Context, tokenHash []byte, sub, purpose, email string, lifetime time.Duration, mail *Outgoing) (Link, error) {
	sealed, err := s.sealOutgoing(mail)
	if err != nil {
		return Link{}, err
	}
	var link Link
	err = s.tx(ctx, "put_link", func(q *Queries) (err error) {
		if _, err = one(q, text, "SELECT sub FROM users WHERE sub = $1 AND disabled = FALSE AND email = $2", sub, email); err != nil {
			return err
		}
		if link, err = q.putLink(tokenHash, sub, purpose, lifetime); err != nil {
			return err
		}
		return q.putOutgoing(sealed)
	})
	return link, err
}

// Link looks a link up without using it. ErrNotFound: unknown, used, replaced
// or expired, or its person is disabled or has another address.
func (s *Store) Link(ctx context.Context, tokenHash []byte, purpose string) (Link, error) {
	q := s.read(ctx)
	return one(q, linkFields, "SELECT "+linkColumns+" FROM links WHERE "+linkAlive, tokenHash, purpose, at(q.now))
}

// TakeLink uses a link up.
func (s *Store) TakeLink(ctx context.Context, tokenHash []byte, purpose string) (Link, error) {
	var link Link
	err := s.tx(ctx, "take_link", func(q *Queries) (err error) {
		link, err = q.takeLink(tokenHash, purpose)
		return err
	})
	return link, err
}

func (q *Queries) takeLink(tokenHash []byte, purpose string) (Link, error) {
	return one(q, linkFields, "DELETE FROM links WHERE "+linkAlive+" RETURNING "+linkColumns, tokenHash, purpose, at(q.now))
}

// ReturnLink undoes TakeLink, for when what it was taken for failed through no
// fault of the person's. A newer link stays.
func (s *Store) ReturnLink(ctx context.Context, l Link) error {
	return s.tx(ctx, "return_link", func(q *Queries) error {
		return q.must("INSERT INTO links ("+linkColumns+") VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
			l.TokenHash, l.Sub, l.Purpose, l.Email, at(l.CreatedAt), at(l.ExpiresAt))
	})
}

// VerifyEmail uses a link of PurposeEmail up: the address that it was sent to
// is the person's from now on.
func (s *Store) VerifyEmail(ctx context.Context, tokenHash []byte) (Link, error) {
	var link Link
	err := s.tx(ctx, "verify_email", func(q *Queries) (err error) {
		if link, err = q.takeLink(tokenHash, PurposeEmail); err != nil {
			return err
		}
		return q.must("UPDATE users SET email_verified = TRUE, updated_at = $3, version = version + 1 WHERE sub = $1 AND email = $2", link.Sub, link.Email, at(q.now))
	})
	return link, err
}

// Invite adds a person who has no password yet, with their groups, the
// invitation that lets them set one, and the mail that carries it (nil for
// none). Errors as of CreateUser.
func (s *Store) Invite(ctx context.Context, u User, groups []string, tokenHash []byte, lifetime time.Duration, mail *Outgoing) (Link, error) {
	sealed, err := s.sealOutgoing(mail)
	if err != nil {
		return Link{}, err
	}
	var link Link
	err = s.tx(ctx, "invite", func(q *Queries) (err error) {
		if err = q.createUser(u, "", groups); err != nil {
			return err
		}
		if link, err = q.putLink(tokenHash, u.Sub, PurposeInvitation, lifetime); err != nil {
			return err
		}
		return q.putOutgoing(sealed)
	})
	return link, err
}

// UsersByEmail lists at most limit enabled people with that verified address,
// in any case of letters.
func (s *Store) UsersByEmail(ctx context.Context, email string, limit int) ([]User, error) {
	return many(s.read(ctx), userFields, "SELECT "+userColumns+` FROM users u
		WHERE LOWER(u.email) = LOWER($1) AND u.email_verified = TRUE AND u.disabled = FALSE ORDER BY u.username LIMIT $2`, email, limit)
}
