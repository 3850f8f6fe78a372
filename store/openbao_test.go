package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func (w world) apiToken(t testing.TB, sub, accessor string) store.APIToken {
	t.Helper()
	now := w.clock.Now()
	want(t, w.AddAPIToken(t.Context(), store.APIToken{Accessor: accessor, Sub: sub, WrappingAccessor: "wrap-" + accessor,
		UnwrapBefore: now.Add(5 * time.Minute), ExpiresAt: now.Add(time.Hour)}), nil)
	got, err := w.APIToken(t.Context(), sub, accessor)
	want(t, err, nil)
	return got
}

func (w world) certificate(t testing.TB, sub, serial string) store.Certificate {
	t.Helper()
	now := w.clock.Now()
	want(t, w.AddCertificate(t.Context(), store.Certificate{Serial: serial, Sub: sub, CommonName: "ada", NotBefore: now, NotAfter: now.Add(720 * time.Hour)}), nil)
	got, err := w.Certificate(t.Context(), sub, serial)
	want(t, err, nil)
	return got
}

func TestAPITokensAreTheirPersonsAlone(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p, other := w.person(t), w.person(t)
		first := w.apiToken(t, p.Sub, "first")
		if !first.CreatedAt.Equal(beginning) || !first.ExpiresAt.Equal(beginning.Add(time.Hour)) || first.WrappingAccessor != "wrap-first" || !first.EndedAt.IsZero() {
			t.Errorf("the row is %+v", first)
		}
		w.clock.Advance(time.Minute)
		second := w.apiToken(t, p.Sub, "second")
		w.apiToken(t, other.Sub, "third")
		_, err := w.APIToken(ctx, p.Sub, "third")
		want(t, err, store.ErrNotFound)
		want(t, w.AddAPIToken(ctx, store.APIToken{Accessor: "first", Sub: other.Sub, UnwrapBefore: beginning, ExpiresAt: beginning}), store.ErrExists)

		want(t, w.MarkAPIToken(ctx, "first", true, false), nil)
		first.UnwrappedAt = w.clock.Now()
		w.clock.Advance(time.Minute)
		want(t, w.MarkAPIToken(ctx, "first", true, true), nil)
		first.EndedAt = w.clock.Now()
		list, err := w.APITokens(ctx, p.Sub)
		want(t, err, nil)
		if diff := cmp.Diff([]store.APIToken{second, first}, list); diff != "" {
			t.Errorf("the list (-want +got):\n%s", diff)
		}
		// A day after its end a token is forgotten.
		for _, step := range []struct {
			wait time.Duration
			left int
		}{{24 * time.Hour, 2}, {time.Hour, 0}} {
			w.clock.Advance(step.wait)
			_, _, err = w.DeleteExpired(ctx, 100, idle)
			want(t, err, nil)
			if list, err := w.APITokens(ctx, p.Sub); err != nil || len(list) != step.left {
				t.Errorf("%d tokens are left, want %d (%v)", len(list), step.left, err)
			}
		}
	})
}

func TestCertificatesAreTheirPersonsAlone(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p, other := w.person(t), w.person(t)
		first := w.certificate(t, p.Sub, "1e:c4")
		w.clock.Advance(time.Minute)
		second := w.certificate(t, p.Sub, "00:01")
		w.certificate(t, other.Sub, "00:02")
		_, err := w.Certificate(ctx, p.Sub, "00:02")
		want(t, err, store.ErrNotFound)
		want(t, w.MarkRevoked(ctx, "1e:c4", w.clock.Now()), nil)
		first.RevokedAt = w.clock.Now()
		want(t, w.MarkRevoked(ctx, "1e:c4", w.clock.Now().Add(time.Hour)), nil)
		list, err := w.Certificates(ctx, p.Sub, 10)
		want(t, err, nil)
		if diff := cmp.Diff([]store.Certificate{second, first}, list); diff != "" {
			t.Errorf("the list (-want +got):\n%s", diff)
		}
		if list, err := w.Certificates(ctx, p.Sub, 1); err != nil || len(list) != 1 || list[0].Serial != "00:01" {
			t.Errorf("the newest is %+v (%v)", list, err)
		}
		// A month after its end a certificate is forgotten.
		w.clock.Advance(720*time.Hour + 31*24*time.Hour)
		_, _, err = w.DeleteExpired(ctx, 100, idle)
		want(t, err, nil)
		if list, err := w.Certificates(ctx, p.Sub, 10); err != nil || len(list) != 0 {
			t.Errorf("%+v is left (%v)", list, err)
		}
	})
}
