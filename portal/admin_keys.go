package portal

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"peerage/identity"
	"peerage/idp"
	"peerage/store"
)

const pathKeys = "/admin/keys"

// keysPage lists the signing keys, or asks before one is replaced or retired.
func (p *Portal) keysPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	query := r.URL.Query()
	keys, err := p.keys.Keys(r.Context())
	if err != nil {
		return err
	}
	switch query.Get("ask") {
	case "rotate":
		if slices.Contains(idp.Algorithms(), query.Get("alg")) {
			return p.render.Render(w, http.StatusOK, p.askRotate(p.base(r, &v), query.Get("alg"), keys))
		}
	case "retire":
		if i := slices.IndexFunc(keys, func(k store.SigningKey) bool { return k.KID == query.Get("kid") }); i >= 0 && keys[i].WithdrawnAt.IsZero() {
			return p.render.Render(w, http.StatusOK, p.askRetire(p.base(r, &v), keys[i]))
		}
	}
	return p.render.Render(w, http.StatusOK, p.keysList(p.base(r, &v), keys, query.Get("done")))
}

func (p *Portal) keysList(base Base, keys []store.SigningKey, done string) *KeysPage {
	page := &KeysPage{Base: base, Done: done}
	for _, k := range keys {
		page.Keys = append(page.Keys, KeyRow{k, p.now().Sub(k.CreatedAt)})
	}
	states := []string{store.KeyActive, store.KeyNext, store.KeyRetired}
	slices.SortStableFunc(page.Keys, func(a, b KeyRow) int {
		return cmp.Or(cmp.Compare(slices.Index(idp.Algorithms(), a.Alg), slices.Index(idp.Algorithms(), b.Alg)),
			cmp.Compare(slices.Index(states, a.State), slices.Index(states, b.State)))
	})
	return page
}

// changeKeys replaces or retires a key.
func (p *Portal) changeKeys(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	ctx, form := r.Context(), r.PostForm
	now := form.Get("now") == "yes"
	event := identity.Event{User: v.User.Username, Sub: v.User.Sub, Result: "success"}
	var done string
	var err error
	switch form.Get("action") {
	case "rotate":
		var rotated idp.Rotated
		if rotated, err = p.keys.Rotate(ctx, form.Get("alg"), now); err == nil {
			event.Name, event.Detail = "key_rotate", idp.KeyDetail(rotated.Alg, rotated.KID)
			done = DoneKeyRotated
			if rotated.At.After(p.now()) {
				done = DoneKeyScheduled
			}
		}
	case "retire":
		if err = p.keys.Retire(ctx, form.Get("kid"), now); err == nil {
			event.Name, event.Detail = "key_retire", idp.KeyDetail("", form.Get("kid"))
			done = DoneKeyRetired
		}
	default:
		err = errUnknownAction
	}
	if err != nil {
		return p.refuseKeys(w, r, v, err)
	}
	p.directory.Audit.Event(ctx, event)
	return see(w, pathKeys+"?done="+done)
}

// errUnknownAction: a form came without a button of ours.
var errUnknownAction = errors.New("unknown action")

// refuseKeys shows the list with the reason why nothing was done.
func (p *Portal) refuseKeys(w http.ResponseWriter, r *http.Request, v identity.Visitor, err error) error {
	var refusal Sentence
	switch {
	case errors.Is(err, idp.ErrKeyNeeded):
		refusal = Say("keys.refused.needed")
	case errors.Is(err, idp.ErrKeyRetired):
		refusal = Say("keys.refused.retired")
	case errors.Is(err, idp.ErrUnknownKey):
		refusal = Say("keys.refused.unknown")
	case errors.Is(err, idp.ErrUnknownAlgorithm):
		refusal = Say("keys.refused.algorithm")
	case errors.Is(err, errUnknownAction):
		refusal = Say("keys.refused.action")
	default:
		return err
	}
	keys, err := p.keys.Keys(r.Context())
	if err != nil {
		return err
	}
	page := p.keysList(p.base(r, &v), keys, "")
	page.Refusal, page.Fault = refusal, "invalid_request"
	return p.render.Render(w, http.StatusUnprocessableEntity, page)
}

// askRotate says what replacing a key does, and to whom.
func (p *Portal) askRotate(base Base, alg string, keys []store.SigningKey) *AskPage {
	page := &AskPage{Base: base, Place: pathKeys, Title: Say("keys.rotate.title", "alg", alg), Text: Say("keys.rotate.text"),
		Action: pathKeys, Fields: []Hidden{{"alg", alg}}, Button: Hidden{"action", "rotate"}, Submit: Say("keys.rotate.submit"), Back: pathKeys,
		Choices: []Field{{Name: "now", Kind: FieldCheckbox, Label: Say("keys.rotate.now"), Hint: Say("keys.rotate.now.hint")}}}
	// A next key that is missing is made by the rotation, and waits a day too.
	due := p.now().Add(idp.PublishBefore)
	for _, k := range keys {
		if k.Alg == alg && k.State == store.KeyNext {
			due = k.CreatedAt.Add(idp.PublishBefore)
		}
	}
	if due.After(p.now()) {
		page.Consequences = append(page.Consequences, Say("keys.rotate.later", "time", shownMoment(due)))
	} else {
		page.Consequences = append(page.Consequences, Say("keys.rotate.soon"))
	}
	page.Consequences = append(page.Consequences, p.usersOf(alg), Say("keys.rotate.old"))
	return page
}

// askRetire says what retiring a key does, and to whom.
func (p *Portal) askRetire(base Base, k store.SigningKey) *AskPage {
	page := &AskPage{Base: base, Place: pathKeys, Title: Say("keys.retire.title", "alg", k.Alg), Text: Say("keys.retire.text", "kid", code(k.KID)),
		Action: pathKeys, Fields: []Hidden{{"kid", k.KID}}, Button: Hidden{"action", "retire"}, Submit: Say("keys.retire.submit"), Back: pathKeys,
		Choices: []Field{{Name: "now", Kind: FieldCheckbox, On: k.State == store.KeyRetired, Label: Say("keys.retire.now"), Hint: Say("keys.retire.now.hint")}}}
	switch k.State {
	case store.KeyActive:
		page.Consequences = append(page.Consequences, Say("keys.retire.active"), p.usersOf(k.Alg))
	case store.KeyNext:
		page.Consequences = append(page.Consequences, Say("keys.retire.next"))
	default:
		page.Consequences = append(page.Consequences, Say("keys.retire.retired"))
	}
	return page
}

// maxNamed bounds how many applications a sentence names.
const maxNamed = 8

// usersOf names the applications that get tokens signed by an algorithm.
func (p *Portal) usersOf(alg string) Sentence {
	var names []string
	for _, c := range p.clients.ForUser(func(c *idp.Client) bool { return c.SigningAlg() == alg }) {
		names = append(names, clip(c.DisplayName()))
	}
	switch more := len(names) - maxNamed; {
	case len(names) == 0:
		return Say("keys.users.none", "alg", alg)
	case more > 0:
		return Say("keys.users.many", "alg", alg, "names", clipLong(strings.Join(names[:maxNamed], ", ")), "more", more)
	}
	return Say("keys.users", "alg", alg, "names", clipLong(strings.Join(names, ", ")))
}

// shownMoment is a time inside a sentence, exact and in UTC.
func shownMoment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
