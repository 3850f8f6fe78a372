package store_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"peerage/store"
)

// What lies in the outbox is sealed, taken by one replica at a time, and comes
// again when it was not done.
func TestOutbox(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		const entries = 20
		for range entries {
			want(t, w.PutOutgoing(ctx, store.Outgoing{Kind: "message", Content: []byte("a link")}), nil)
		}
		if bytes.Contains(w.blob(t, "SELECT sealed_content FROM outbox LIMIT 1"), []byte("a link")) {
			t.Fatal("the content lies in clear")
		}
		other := w.replica(t)
		var mu sync.Mutex
		taken := map[string]int{}
		together(16, func(i int) {
			s := []*store.Store{w.Store, other}[i%2]
			for range 8 {
				list, err := s.TakeOutgoing(ctx, 3, time.Minute)
				if err != nil {
					t.Errorf("taking: %v", err)
				}
				mu.Lock()
				for _, o := range list {
					taken[o.ID]++
					if string(o.Content) != "a link" || o.Attempts != 1 || !o.CreatedAt.Equal(beginning) {
						t.Errorf("took %+v", o)
					}
				}
				mu.Unlock()
			}
		})
		for id, n := range taken {
			if n != 1 {
				t.Errorf("%s was taken %d times", id, n)
			}
		}
		if len(taken) != entries {
			t.Fatalf("%d of %d were taken", len(taken), entries)
		}
		w.clock.Advance(time.Minute)
		list, err := w.TakeOutgoing(ctx, 100, time.Hour)
		want(t, err, nil)
		if len(list) != entries || list[0].Attempts != 2 {
			t.Fatalf("%d came again", len(list))
		}
		for _, o := range list[1:] {
			want(t, w.DoneOutgoing(ctx, o.ID), nil)
		}
		want(t, w.RetryOutgoing(ctx, list[0].ID, time.Minute), nil)
		due, err := w.OutgoingDue(ctx)
		if err != nil || due {
			t.Fatalf("due at once: %v, %v", due, err)
		}
		w.clock.Advance(time.Minute)
		// An entry that was tampered with is dropped and holds up no other.
		want(t, w.PutOutgoing(ctx, store.Outgoing{Kind: "message", Content: []byte("another")}), nil)
		if _, err := w.Writer().ExecContext(ctx, "UPDATE outbox SET sealed_content = (SELECT sealed_content FROM outbox WHERE id = $1) WHERE id <> $1", list[0].ID); err != nil {
			t.Fatal(err)
		}
		left, err := w.TakeOutgoing(ctx, 100, time.Minute)
		want(t, err, nil)
		if len(left) != 1 || left[0].ID != list[0].ID || w.rows(t, "SELECT COUNT(*) FROM outbox") != 1 {
			t.Fatalf("left %+v", left)
		}
	})
}

// A link and its mail are there together or not at all, for a person who is
// enabled and has that address.
func TestPutLinkWithItsMail(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p := w.person(t)
		put := func(token, email string) error {
			_, err := w.PutLink(ctx, hash(token), p.Sub, store.PurposePassword, email, time.Hour, &store.Outgoing{Kind: "message", Content: []byte(token)})
			return err
		}
		want(t, put("elsewhere", "old@example.net"), store.ErrNotFound)
		want(t, w.SetDisabled(ctx, p.Sub, true), nil)
		want(t, put("disabled", p.Email), store.ErrNotFound)
		if n := w.rows(t, "SELECT COUNT(*) FROM outbox"); n != 0 {
			t.Fatalf("%d mails without link", n)
		}
		want(t, w.SetDisabled(ctx, p.Sub, false), nil)
		want(t, put("first", p.Email), nil)
		want(t, put("second", p.Email), nil)
		_, err := w.TakeLink(ctx, hash("first"), store.PurposePassword)
		want(t, err, store.ErrNotFound)
		link, err := w.TakeLink(ctx, hash("second"), store.PurposePassword)
		want(t, err, nil)
		want(t, w.ReturnLink(ctx, link), nil)
		want(t, put("third", p.Email), nil)
		want(t, w.ReturnLink(ctx, link), nil) // a newer one stays
		_, err = w.Link(ctx, hash("second"), store.PurposePassword)
		want(t, err, store.ErrNotFound)
		_, err = w.Link(ctx, hash("third"), store.PurposePassword)
		want(t, err, nil)
		// Another address kills what was sent to the one before.
		if _, err := w.Writer().ExecContext(ctx, "UPDATE users SET email = 'new@example.net' WHERE sub = $1", p.Sub); err != nil {
			t.Fatal(err)
		}
		_, err = w.Link(ctx, hash("third"), store.PurposePassword)
		want(t, err, store.ErrNotFound)
		_, err = w.TakeLink(ctx, hash("third"), store.PurposePassword)
		want(t, err, store.ErrNotFound)
	})
}

// An invitation dies with a newer recovery link and with a password.
func TestInviteAndVerify(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		u := store.User{Sub: "sub-1", Origin: "local", Username: "ada", Email: "Ada@example.net"}
		_, err := w.Invite(ctx, u, []string{"nowhere"}, hash("a"), time.Hour, &store.Outgoing{Kind: "message", Content: []byte("x")})
		want(t, err, store.ErrNotFound)
		if n := w.rows(t, "SELECT COUNT(*) FROM outbox"); n != 0 {
			t.Fatalf("%d mails without person", n)
		}
		_, err = w.Invite(ctx, u, []string{"admins"}, hash("a"), time.Hour, nil)
		want(t, err, nil)
		_, err = w.Invite(ctx, store.User{Sub: "sub-2", Username: "ada"}, nil, hash("b"), time.Hour, nil)
		want(t, err, store.ErrExists)
		people, err := w.UsersByEmail(ctx, "ADA@EXAMPLE.NET", 5)
		if err != nil || len(people) != 0 {
			t.Fatalf("found %v by an address that is not verified, %v", people, err)
		}
		_, err = w.PutLink(ctx, hash("v"), u.Sub, store.PurposeEmail, u.Email, time.Hour, nil)
		want(t, err, nil)
		_, err = w.VerifyEmail(ctx, hash("a"))
		want(t, err, store.ErrNotFound)
		_, err = w.VerifyEmail(ctx, hash("v"))
		want(t, err, nil)
		_, err = w.VerifyEmail(ctx, hash("v"))
		want(t, err, store.ErrNotFound)
		people, err = w.UsersByEmail(ctx, "ADA@EXAMPLE.NET", 5)
		if err != nil || len(people) != 1 || people[0].Email != u.Email {
			t.Fatalf("found %v, %v", people, err)
		}
		_, err = w.PutLink(ctx, hash("r"), u.Sub, store.PurposePassword, u.Email, time.Hour, nil)
		want(t, err, nil)
		_, err = w.Link(ctx, hash("a"), store.PurposeInvitation)
		want(t, err, store.ErrNotFound)
		want(t, w.SetPassword(ctx, u.Sub, "hash", ""), nil)
		_, err = w.Link(ctx, hash("r"), store.PurposePassword)
		want(t, err, store.ErrNotFound)
	})
}
