package openbao

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

const (
	// consentsKey is where Loop Portal kept consents in the metadata of
	// entities, and where ours are mirrored.
	consentsKey = "oidc_consents"
	// maxValue is what OpenBao takes as one value of metadata, in bytes.
	maxValue = 512
	// maxPortalConsents bounds what is read: more do not fit into a value.
	maxPortalConsents = 64

	mirrorBatch = 20
	// mirrorLease is longer than a batch takes while OpenBao answers; it stops
	// at the first request that is not answered.
	mirrorLease    = time.Minute
	mirrorRetry    = 5 * time.Second
	maxMirrorRetry = time.Hour
)

// portalScopes are those that Loop Portal knew. Whoever may write metadata
// cannot make people have allowed more than that.
var portalScopes = []string{"openid", "profile", "email", "groups"}

// portalConsents reads what a person allowed at Loop Portal: a JSON object of
// clients, each with a list of scopes, or an object of "scopes" and
// "granted_at". ignored counts the clients that could not be read.
func portalConsents(text string) (consents []store.Consent, ignored int, err error) {
	var clients map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &clients); err != nil || clients == nil {
		return nil, 0, errors.New("it is no JSON object")
	}
	for id, data := range clients {
		given, granted := portalConsent(data)
		scopes := slices.DeleteFunc(slices.Clone(portalScopes), func(s string) bool { return !slices.Contains(given, s) })
		if len(scopes) == 0 || id == "" || len(consents) == maxPortalConsents {
			ignored++
			continue
		}
		consents = append(consents, store.Consent{ClientID: id, Scopes: scopes, GrantedAt: granted})
	}
	slices.SortFunc(consents, func(a, b store.Consent) int { return strings.Compare(a.ClientID, b.ClientID) })
	return consents, ignored, nil
}

// portalConsent reads the scopes of one client, and when it got them; zero
// when that is not told.
func portalConsent(data json.RawMessage) (scopes []string, granted time.Time) {
	var whole struct {
		Scopes  json.RawMessage `json:"scopes"`
		Granted json.RawMessage `json:"granted_at"`
	}
	if json.Unmarshal(data, &whole) == nil && whole.Scopes != nil {
		data = whole.Scopes
		var at string
		var seconds float64
		if json.Unmarshal(whole.Granted, &at) == nil {
			granted, _ = time.Parse(time.RFC3339, at) // else it is of now
		} else if json.Unmarshal(whole.Granted, &seconds) == nil && seconds > 0 && seconds < 1<<33 {
			granted = time.Unix(int64(seconds), 0)
		}
	}
	var words string
	if json.Unmarshal(data, &words) == nil {
		return strings.Fields(words), granted
	}
	if json.Unmarshal(data, &scopes) != nil {
		return nil, time.Time{}
	}
	return scopes, granted
}

// importConsents takes over what a person allowed at Loop Portal, until they
// have signed in here once: from then on what is here counts.
func (b *Backend) importConsents(ctx context.Context, e entity) error {
	text := e.Metadata[consentsKey]
	if text == "" {
		return nil
	}
	u, err := b.store.User(ctx, e.ID)
	if err != nil || !u.LastLoginAt.IsZero() {
		return err
	}
	consents, ignored, err := portalConsents(text)
	if err != nil || ignored > 0 {
		b.log.WarnContext(ctx, "consents in the metadata of an entity cannot be read: the person is asked again", "entity", e.ID, "ignored", ignored, "error", err)
	}
	added, err := b.store.ImportConsents(ctx, e.ID, consents)
	for _, c := range added {
		b.audit.Event(ctx, identity.Event{Name: "consent_grant", User: u.Username, Sub: u.Sub, Client: c.ClientID, Result: "success",
			Detail: []slog.Attr{slog.String("from", consentsKey)}})
	}
	return err
}

// mirrored is what OpenBao gets to know of consents: {"client":["scope"]}. What
// does not fit is left out, those that were used or given longest ago first.
func mirrored(consents []store.Consent) (text string, left int) {
	last := func(c store.Consent) time.Time {
		return slices.MaxFunc([]time.Time{c.GrantedAt, c.UpdatedAt, c.LastUsedAt}, time.Time.Compare)
	}
	consents = slices.Clone(consents)
	slices.SortFunc(consents, func(a, b store.Consent) int {
		return cmp.Or(last(b).Compare(last(a)), strings.Compare(a.ClientID, b.ClientID))
	})
	var entries []string
	size := len("{}")
	for _, c := range consents {
		entry, err := json.Marshal(map[string][]string{c.ClientID: c.Scopes})
		if err != nil {
			continue // texts always are JSON
		}
		inner := string(entry[1 : len(entry)-1])
		if size+len(inner)+1 > maxValue {
			left++
			continue
		}
		size += len(inner) + 1
		entries = append(entries, inner)
	}
	if len(entries) == 0 {
		return "", left
	}
	slices.Sort(entries)
	return "{" + strings.Join(entries, ",") + "}", left
}

// MirrorConsents tells OpenBao of consents that have changed, when there are
// any. What cannot be told now is tried again later.
func (b *Backend) MirrorConsents(ctx context.Context) error {
	changes, err := b.store.TakeConsentChanges(ctx, mirrorBatch, mirrorLease)
	if err != nil {
		return err
	}
	for _, change := range changes {
		err := b.mirror(ctx, change.Sub)
		if err == nil || errors.Is(err, ErrNotFound) { // whose entity is gone needs no mirror
			err = b.store.ConsentsMirrored(ctx, change)
			if err != nil {
				return err
			}
			continue
		}
		wait := min(mirrorRetry<<min(change.Attempts-1, 16), maxMirrorRetry)
		b.log.WarnContext(ctx, "consents cannot be written into an entity of OpenBao now", "entity", change.Sub, "again_in", wait.String(), "error", err)
		if err := b.store.RetryConsents(ctx, change, wait); err != nil {
			return err
		}
		if errors.Is(err, identity.ErrUnavailable) {
			return nil // the others come again when their lease ends
		}
	}
	return nil
}

// mirror writes a person's consents as they are now. They are read when nobody
// else writes, so that the last one to write knows them all.
func (b *Backend) mirror(ctx context.Context, sub string) error {
	var failed error
	err := b.changeMetadata(ctx, sub, func(metadata map[string]string) {
		consents, err := b.store.Consents(ctx, sub)
		if failed = err; err != nil {
			return
		}
		text, left := mirrored(consents)
		if left > 0 {
			b.log.WarnContext(ctx, "not all consents of a person fit into the metadata of their entity", "entity", sub, "left", left)
		}
		if metadata[consentsKey] = text; text == "" {
			delete(metadata, consentsKey)
		}
	})
	return cmp.Or(failed, err)
}
