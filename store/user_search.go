package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// UserState narrows a search to people in one state.
type UserState string

// The states that a search knows; "" is everybody.
const (
	UsersActive   UserState = "active"
	UsersDisabled UserState = "disabled"
	// UsersWithoutFactor have no active second factor here.
	UsersWithoutFactor UserState = "no-factor"
)

// UserFilter says who is meant: people that have everything that is set.
type UserFilter struct {
	// Text finds people by the beginnings of words of their user name, name
	// and e-mail address; each of its words must be there.
	Text   string
	State  UserState
	Origin string
	Group  string // a local group
	// Factors are people who have a second factor elsewhere, for
	// UsersWithoutFactor.
	Factors []string
	Limit   int
	Offset  int
}

// FindUsers lists the people that a filter means: by user name, or with Text
// by the word that matched. Every part of it is read along an index, so that
// the first page costs the same among a hundred people and a hundred thousand.
func (s *Store) FindUsers(ctx context.Context, f UserFilter) ([]User, error) {
	var args []any
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	from, order := "users u", "u.username"
	var where []string
	words := f.words()
	if len(words) > 0 {
		low, high := arg(words[0]), arg(after(words[0]))
		from, order = "user_words w JOIN users u ON u.sub = w.sub", "w.word, w.sub"
		// A person with several words that begin so is listed at the first.
		where = append(where, "w.word >= "+low, "w.word < "+high,
			"NOT EXISTS (SELECT 1 FROM user_words e WHERE e.sub = w.sub AND e.word >= "+low+" AND e.word < w.word)")
		for _, word := range words[1:] {
			where = append(where, "EXISTS (SELECT 1 FROM user_words e WHERE e.sub = u.sub AND e.word >= "+arg(word)+" AND e.word < "+arg(after(word))+")")
		}
	}
	switch f.State {
	case UsersActive:
		where = append(where, "u.disabled = FALSE")
	case UsersDisabled:
		where = append(where, "u.disabled = TRUE")
	case UsersWithoutFactor:
		elsewhere, err := json.Marshal(f.Factors)
		if err != nil {
			return nil, err
		}
		few, err := s.fewWithoutFactor(ctx, elsewhere)
		if err != nil || few != nil && len(few) == 0 {
			return nil, err
		}
		if few == nil {
			where = append(where, "NOT EXISTS (SELECT 1 FROM factors f WHERE f.sub = u.sub AND f.pending = FALSE)", "NOT EXISTS (SELECT 1 FROM passkeys p WHERE p.sub = u.sub)",
				"u.sub NOT IN ("+s.engine.texts(arg(string(elsewhere)))+")")
			break
		}
		var listed []string
		for _, sub := range few {
			listed = append(listed, arg(sub))
		}
		where = append(where, "u.sub IN ("+strings.Join(listed, ", ")+")")
	}
	if f.Origin != "" {
		where = append(where, "u.origin = "+arg(f.Origin))
	}
	if f.Group != "" {
		where = append(where, "u.sub IN (SELECT m.sub FROM group_members m WHERE m.group_name = "+arg(f.Group)+")")
	}
	query := "SELECT " + userColumns + " FROM " + from
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	query += " ORDER BY " + order + " LIMIT " + arg(f.Limit) + " OFFSET " + arg(f.Offset)
	return many(s.read(ctx), userFields, query, args...)
}

// fewEnough is how many people may be looked for one by one.
const fewEnough = 500

// fewWithoutFactor lists who has no active second factor; nil when those are
// more than a few. In the order of the list they would be looked for among all
// who have one: where nearly everybody does, that is slow.
func (s *Store) fewWithoutFactor(ctx context.Context, elsewhere []byte) ([]string, error) {
	few, err := many(s.read(ctx), func(sub *string) []any { return []any{sub} }, `SELECT sub FROM users
		EXCEPT SELECT sub FROM factors WHERE pending = FALSE EXCEPT SELECT sub FROM passkeys EXCEPT `+s.engine.texts("$2")+` ORDER BY 1 LIMIT $1`, fewEnough+1, string(elsewhere))
	if err != nil || len(few) > fewEnough {
		return nil, err
	}
	return append([]string{}, few...), nil
}

const (
	maxSearchWords = 4  // of one search
	maxUserWords   = 32 // of one person
	maxWord        = 64 // bytes
)

// words are the words that are looked for, the longest first: it is the one
// that fewest people have.
func (f UserFilter) words() [][]byte {
	var words [][]byte
	for _, word := range strings.Fields(folded(f.Text)) {
		words = append(words, cut(word))
	}
	slices.SortStableFunc(words, func(a, b []byte) int { return len(b) - len(a) })
	return words[:min(len(words), maxSearchWords)]
}

// after is greater than every word that begins so: no text holds the byte 0xff.
func after(prefix []byte) []byte { return append(bytes.Clone(prefix), 0xff) }

// folded makes spellings of a word one word.
func folded(text string) string { return strings.ToLower(norm.NFKC.String(text)) }

func cut(word string) []byte { return []byte(word[:min(len(word), maxWord)]) }

// userWords are what a person is found by: each word as it stands, and its
// parts, so that "exa" finds ada@example.net.
func userWords(u User) [][]byte {
	var words [][]byte
	add := func(word string) {
		w := cut(word)
		if len(w) > 0 && len(words) < maxUserWords && !slices.ContainsFunc(words, func(o []byte) bool { return bytes.Equal(o, w) }) {
			words = append(words, w)
		}
	}
	whole := strings.Fields(folded(strings.Join([]string{u.Username, u.Email, u.Name}, " ")))
	for _, word := range whole {
		add(word)
	}
	for _, word := range whole {
		for _, part := range strings.FieldsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }) {
			add(part)
		}
	}
	return words
}

// putWords makes a person findable.
func (q *Queries) putWords(u User) error {
	if err := q.must("DELETE FROM user_words WHERE sub = $1", u.Sub); err != nil {
		return err
	}
	for _, word := range userWords(u) {
		if err := q.must("INSERT INTO user_words (word, sub) VALUES ($1, $2)", word, u.Sub); err != nil {
			return err
		}
	}
	return nil
}
