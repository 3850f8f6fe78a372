package store_test

import (
	"fmt"
	"testing"

	"peerage/store"
	"peerage/store/storetest"
)

// BenchmarkFindUsers is the first page of the administrators' list among
// 100,000 people, all of whom but one in a thousand have a second factor.
func BenchmarkFindUsers(b *testing.B) {
	w := newWorld(b, storetest.Engines()[0])
	b.StopTimer()
	tx, err := w.Writer().BeginTx(b.Context(), nil)
	want(b, err, nil)
	exec := func(query string, args ...any) {
		if _, err := tx.ExecContext(b.Context(), query, args...); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 100_000 {
		name := fmt.Sprintf("person%06d", i)
		exec(`INSERT INTO users (sub, origin, username, name, given_name, family_name, email, email_verified, disabled, needs_link, created_at, updated_at)
			VALUES ($1, 'local', $1, $2, '', '', $3, TRUE, $4, FALSE, 1, 1)`, name, fmt.Sprintf("Given%d Family%d", i%977, i%1009), name+"@example.net", i%1000 == 0)
		for _, word := range []string{name, name + "@example.net", fmt.Sprintf("given%d", i%977), fmt.Sprintf("family%d", i%1009), "example", "net"} {
			exec("INSERT INTO user_words (word, sub) VALUES ($1, $2)", []byte(word), name)
		}
		if i%1000 != 999 {
			exec("INSERT INTO factors (sub, kind, pending, sealed_secret, last_step, created_at) VALUES ($1, 'totp', FALSE, $2, 0, 0)", name, []byte("x"))
		}
	}
	want(b, tx.Commit(), nil)
	for name, f := range map[string]store.UserFilter{
		"everybody": {}, "one letter": {Text: "e"}, "a word": {Text: "given12"}, "two words": {Text: "given12 family3"}, "nobody": {Text: "zebra"},
		"common and rare": {Text: "example person099999"}, "disabled": {State: store.UsersDisabled}, "active": {State: store.UsersActive}, "without factor": {State: store.UsersWithoutFactor}, "local": {Origin: "local"},
		"administrators": {Group: "admins"}, "page 1000": {Offset: 49_950},
	} {
		f.Limit = 51
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := w.FindUsers(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("overview", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.Overview(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
