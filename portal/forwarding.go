package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"peerage/store"
)

// warnOfClaim says once that a proxy may stand there that the settings do not
// name: all its people would share one limit.
func (p *Portal) warnOfClaim(r *http.Request, peer netip.Addr) {
	if r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("X-Forwarded-Proto") == "" {
		return
	}
	now, last := p.now(), p.claimed.Load()
	if now.Sub(time.Unix(last, 0)) < claimEvery || !p.claimed.CompareAndSwap(last, now.Unix()) {
		return
	}
	if last == 0 {
		p.log.WarnContext(r.Context(), "a forwarding header came from an address that is no trusted proxy and counts nothing; PEERAGE_TRUSTED_PROXIES names the proxies", "peer", peer.String())
	}
	note := now.UTC().Format(time.RFC3339) + " " + peer.String()
	if err := p.store.PutSetting(context.WithoutCancel(r.Context()), settingClaim, note); err != nil {
		p.log.WarnContext(r.Context(), "noting a forwarding header", "error", err)
	}
}

// claimEvery is how often a forwarding header from a stranger is noted for the
// check, which tells of one of the last day.
const claimEvery = time.Hour

// settingClaim is the setting that holds the note: a time and an address.
const settingClaim = "forwarding_claim"

// Claim reads who sent the newest forwarding header that counted nothing, and
// when; an invalid address for nobody.
func Claim(ctx context.Context, st *store.Store) (peer netip.Addr, at time.Time, err error) {
	note, err := st.Setting(ctx, settingClaim)
	if errors.Is(err, store.ErrNotFound) {
		return peer, at, nil
	}
	if err != nil {
		return peer, at, fmt.Errorf("reading who sent a forwarding header: %w", err)
	}
	when, who, _ := strings.Cut(note, " ")
	at, badTime := time.Parse(time.RFC3339, when)
	peer, badAddress := netip.ParseAddr(who)
	return peer, at, errors.Join(badTime, badAddress)
}
