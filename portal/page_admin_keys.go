package portal

import (
	"net/url"
	"time"

	"peerage/store"
)

// KeysPage lists the signing keys.
type KeysPage struct {
	Base
	Keys    []KeyRow
	Done    string   // what was just done: DoneKeyRotated, …
	Refusal Sentence // why nothing was done; the zero Sentence otherwise
}

func (*KeysPage) frame() frame { return frame{file: "admin_keys", house: true, place: placeAdmin} }

// KeyRow is one signing key.
type KeyRow struct {
	store.SigningKey
	Age time.Duration
}

// Days is the key's age in whole days.
func (k KeyRow) Days() int { return int(k.Age / (24 * time.Hour)) }

// Withdrawn tells that the key leaked and verifies nothing any more.
func (k KeyRow) Withdrawn() bool { return !k.WithdrawnAt.IsZero() }

// Active tells that the key signs, Next that it will.
func (k KeyRow) Active() bool { return k.State == store.KeyActive }

// Next tells that the key is published and does not sign yet.
func (k KeyRow) Next() bool { return k.State == store.KeyNext }

// Ask is the address of the question before the key is replaced or retired.
func (k KeyRow) Ask(what string) string {
	name, value := "kid", k.KID
	if what == "rotate" {
		name, value = "alg", k.Alg
	}
	return pathKeys + "?" + url.Values{"ask": {what}, name: {value}}.Encode()
}
