package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Origins of affiliations.
const (
	AffiliationPeeringDB = "peeringdb"
	AffiliationAdmin     = "admin"
)

// Affiliation is a network that a person acts for.
type Affiliation struct {
	ASN    uint32
	Origin string
	Name   string
	// Perms are PeeringDB's bits.
	Perms int64
	Since time.Time
}

const affiliationColumns = "asn, origin, name, perms, since"

func affiliationFields(a *Affiliation) []any {
	return []any{&a.ASN, &a.Origin, &a.Name, &a.Perms, stamp{&a.Since}}
}

// Affiliations are those of a person, by ASN.
func (s *Store) Affiliations(ctx context.Context, sub string) ([]Affiliation, error) {
	return s.read(ctx).affiliations(sub)
}

func (q *Queries) affiliations(sub string) ([]Affiliation, error) {
	return many(q, affiliationFields, "SELECT "+affiliationColumns+" FROM affiliations WHERE sub = $1 ORDER BY asn, origin", sub)
}

// affiliationLine is an affiliation as one line, for reads of a person in one go.
const affiliationLine = "a.asn || ' ' || a.perms || ' ' || a.since || ' ' || a.origin || ' ' || a.name"

func parseAffiliations(lines string) ([]Affiliation, error) {
	if lines == "" {
		return nil, nil
	}
	var list []Affiliation
	for line := range strings.SplitSeq(lines, "\n") {
		fields := strings.SplitN(line, " ", 5)
		if len(fields) != 5 {
			return nil, fmt.Errorf("reading an affiliation: %d fields", len(fields))
		}
		asn, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("reading an affiliation: %w", err)
		}
		perms, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading an affiliation: %w", err)
		}
		since, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading an affiliation: %w", err)
		}
		list = append(list, Affiliation{ASN: uint32(asn), Origin: fields[3], Name: fields[4], Perms: perms, Since: time.UnixMicro(since).UTC()})
	}
	slices.SortFunc(list, func(a, b Affiliation) int {
		if a.ASN != b.ASN {
			return int(int64(a.ASN) - int64(b.ASN))
		}
		return strings.Compare(a.Origin, b.Origin)
	})
	return list, nil
}

// AddAffiliation gives a person a network by an administrator's hand. ErrExists:
// they have it already, by an administrator. ErrNotFound: no such person.
func (s *Store) AddAffiliation(ctx context.Context, sub string, a Affiliation) error {
	a.Origin = AffiliationAdmin
	return s.tx(ctx, "add_affiliation", func(q *Queries) error { return q.putAffiliation(sub, a, false) })
}

// RemoveAffiliation takes away a network that an administrator gave.
// ErrNotFound: no administrator gave it.
func (s *Store) RemoveAffiliation(ctx context.Context, sub string, asn uint32) (Affiliation, error) {
	var removed Affiliation
	err := s.tx(ctx, "remove_affiliation", func(q *Queries) (err error) {
		removed, err = q.removeAffiliation(sub, asn, AffiliationAdmin)
		return err
	})
	return removed, err
}

// putAffiliation adds, or changes the name and rights of one that is there.
func (q *Queries) putAffiliation(sub string, a Affiliation, replace bool) error {
	conflict := ""
	if replace {
		conflict = " ON CONFLICT (sub, asn, origin) DO UPDATE SET name = excluded.name, perms = excluded.perms"
	}
	err := q.must("INSERT INTO affiliations (sub, asn, origin, name, perms, since) VALUES ($1, $2, $3, $4, $5, $6)"+conflict,
		sub, int64(a.ASN), a.Origin, oneLine(a.Name), a.Perms, at(q.now))
	if err != nil || replace {
		return err
	}
	return q.affiliationChanged(sub, a, true)
}

func (q *Queries) removeAffiliation(sub string, asn uint32, origin string) (Affiliation, error) {
	removed, err := one(q, affiliationFields, "DELETE FROM affiliations WHERE sub = $1 AND asn = $2 AND origin = $3 RETURNING "+affiliationColumns, sub, int64(asn), origin)
	if err != nil {
		return removed, err
	}
	return removed, q.affiliationChanged(sub, removed, false)
}

// affiliationChanged counts the change and keeps it for the person to read.
func (q *Queries) affiliationChanged(sub string, a Affiliation, added bool) error {
	err := q.must("INSERT INTO affiliation_news (id, sub, asn, name, added, at) VALUES ($1, $2, $3, $4, $5, $6)",
		uuid.NewString(), sub, int64(a.ASN), oneLine(a.Name), added, at(q.now))
	if err != nil {
		return err
	}
	return q.must("UPDATE users SET version = version + 1 WHERE sub = $1", sub)
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// AffiliationNews is a change of networks that a person has not been told yet.
type AffiliationNews struct {
	ASN   uint32
	Name  string
	Added bool
	At    time.Time
}

// maxNews bounds what is told at a time.
const maxNews = 20

// AffiliationNews lists what a person has not been told yet, the newest first.
func (s *Store) AffiliationNews(ctx context.Context, sub string) ([]AffiliationNews, error) {
	return many(s.read(ctx), func(n *AffiliationNews) []any { return []any{&n.ASN, &n.Name, &n.Added, stamp{&n.At}} },
		"SELECT asn, name, added, at FROM affiliation_news WHERE sub = $1 ORDER BY at DESC, asn LIMIT $2", sub, maxNews)
}

// ForgetAffiliationNews: the person has read what happened up to then.
func (s *Store) ForgetAffiliationNews(ctx context.Context, sub string) error {
	return s.tx(ctx, "forget_affiliation_news", func(q *Queries) error {
		return q.must("DELETE FROM affiliation_news WHERE sub = $1", sub)
	})
}

// OptOut is a network for which PeeringDB says nothing.
type OptOut struct {
	ASN   uint32
	Since time.Time
}

// OptOuts lists the networks that opted out, by ASN.
func (s *Store) OptOuts(ctx context.Context) ([]OptOut, error) { return s.read(ctx).optOuts() }

func (q *Queries) optOuts() ([]OptOut, error) {
	return many(q, func(o *OptOut) []any { return []any{&o.ASN, stamp{&o.Since}} }, "SELECT asn, since FROM peeringdb_opt_outs ORDER BY asn")
}

// Affiliated is a person with a network of theirs.
type Affiliated struct {
	Sub, Username string
	Affiliation
}

// OptOut takes a network from everybody who has it by PeeringDB, at once, and
// keeps it from them; it returns whom it was taken from. They are checked next:
// perhaps nothing else is left to them. ErrExists: it had opted out.
func (s *Store) OptOut(ctx context.Context, asn uint32) (taken []Affiliated, err error) {
	err = s.tx(ctx, "opt_out", func(q *Queries) error {
		if err := q.must("INSERT INTO peeringdb_opt_outs (asn, since) VALUES ($1, $2)", int64(asn), at(q.now)); err != nil {
			return err
		}
		taken, err = many(q, func(a *Affiliated) []any {
			return append([]any{&a.Sub, &a.Username}, affiliationFields(&a.Affiliation)...)
		},
			`SELECT u.sub, u.username, a.asn, a.origin, a.name, a.perms, a.since FROM affiliations a JOIN users u ON u.sub = a.sub
			WHERE a.asn = $1 AND a.origin = $2 ORDER BY u.username`, int64(asn), AffiliationPeeringDB)
		if err != nil {
			return err
		}
		for _, a := range taken {
			if _, err := q.removeAffiliation(a.Sub, asn, AffiliationPeeringDB); err != nil {
				return err
			}
			if err := q.hurry(a.Sub); err != nil {
				return err
			}
		}
		return nil
	})
	return taken, err
}

// OptIn undoes OptOut; people gain the network at their next check. ErrNotFound:
// it had not opted out.
func (s *Store) OptIn(ctx context.Context, asn uint32) error {
	return s.tx(ctx, "opt_in", func(q *Queries) error {
		n, err := q.exec("DELETE FROM peeringdb_opt_outs WHERE asn = $1", int64(asn))
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
}
