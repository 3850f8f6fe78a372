package portal

import (
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerage/identity"
	"peerage/idp"
	"peerage/store"
)

// clientPage shows a client, or asks before it is switched off or deleted.
func (p *Portal) clientPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	client, err := p.store.Client(r.Context(), r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return p.unknown(w, r)
	}
	if err != nil {
		return err
	}
	if ask := r.URL.Query().Get("ask"); client.Source != store.SourceSettings && (ask == "delete" || ask == "disable") {
		return p.render.Render(w, http.StatusOK, askAboutClient(p.base(r, &v), client, ask))
	}
	page := p.showClient(p.base(r, &v), client, clientValues(client), nil)
	switch r.URL.Query().Get("done") {
	case "saved":
		page.Done = Say("client.done.saved")
	case "created":
		page.Done = Say("client.done.created")
	case "disabled":
		page.Done = Say("client.done.disabled")
	case "enabled":
		page.Done = Say("client.done.enabled")
	}
	return p.render.Render(w, http.StatusOK, page)
}

// showClient is the page of a client with these values in its form.
func (p *Portal) showClient(base Base, c store.Client, values url.Values, faults map[string][]string) *ClientPage {
	system := c.Source == store.SourceSettings
	sections, hidden := clientForm(values, faults, system)
	page := &ClientPage{Base: base, ID: c.ClientID, Name: c.Name, Link: clientPath(c.ClientID), System: system, Disabled: c.Disabled,
		HasSecret: !system && idp.NeedsSecret(c.TokenEndpointAuthMethod), Version: strconv.FormatInt(c.Version, 10), Hidden: hidden, Sections: sections,
		KeepOld: keepOldField(values.Get("keep_old"), faults["keep_old"]), Person: personField(values.Get("username"), faults["username"])}
	page.Faults = sectionFaults(sections, page.KeepOld, page.Person)
	if c.OldSecretHash != "" && p.now().Before(c.OldSecretUntil) {
		page.OldSecretUntil = Say("client.secret.old", "time", shownUTC(c.OldSecretUntil))
	}
	return page
}

func shownUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// keepOldChoices are how long an old secret may live on.
var keepOldChoices = map[string]time.Duration{"0": 0, "1h": time.Hour, "24h": 24 * time.Hour, "168h": 168 * time.Hour}

func keepOldField(value string, faults []string) Field {
	if _, ok := keepOldChoices[value]; !ok {
		value = "24h"
	}
	return Field{Name: "keep_old", Kind: FieldSelect, Label: Say("client.keep_old"), Hint: Say("client.keep_old.hint"), Value: value, Fault: faultSentence(faults), Options: []Option{
		{"0", Say("client.keep_old.none")}, {"1h", Say("client.keep_old.hour")}, {"24h", Say("client.keep_old.day")}, {"168h", Say("client.keep_old.week")}}}
}

func personField(value string, faults []string) Field {
	return Field{Name: "username", Label: Say("client.test.person"), Hint: Say("client.test.person.hint"), Value: value, Required: true, Fault: faultSentence(faults)}
}

// changeClient does one of the actions of a client's page.
func (p *Portal) changeClient(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	client, err := p.store.Client(r.Context(), r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return p.unknown(w, r)
	}
	if err != nil {
		return err
	}
	action := r.PostForm.Get("action")
	if action == "test" {
		return p.testClient(w, r, v, client)
	}
	if client.Source == store.SourceSettings {
		page := p.showClient(p.base(r, &v), client, clientValues(client), nil)
		page.Refused = Say("client.refused.system")
		return p.render.Render(w, http.StatusUnprocessableEntity, page)
	}
	// A form that was made from another version must not undo what somebody
	// else did meanwhile; only saving needs to name one.
	if version := r.PostForm.Get("version"); version != strconv.FormatInt(client.Version, 10) && (version != "" || action == "save") {
		return p.conflict(w, r, v, client)
	}
	switch action {
	case "save":
		return p.saveClient(w, r, v, client)
	case "rotate-secret":
		return p.rotateSecret(w, r, v, client)
	case "disable", "enable":
		return p.setClientDisabled(w, r, v, client, action == "disable")
	case "delete":
		return p.deleteClient(w, r, v, client)
	}
	page := p.showClient(p.base(r, &v), client, clientValues(client), nil)
	page.Refused = Say("client.refused.unknown")
	return p.render.Render(w, http.StatusUnprocessableEntity, page)
}

// conflict shows what was typed once more; the form keeps its old version, so
// that pressing the button again does not write over the other change.
func (p *Portal) conflict(w http.ResponseWriter, r *http.Request, v identity.Visitor, client store.Client) error {
	base := p.base(r, &v)
	base.Fault = FaultConflict
	page := p.showClient(base, client, typedValues(r.PostForm, client), nil)
	page.Version = r.PostForm.Get("version")
	return p.render.Render(w, http.StatusConflict, page)
}

// saveClient takes over the form.
func (p *Portal) saveClient(w http.ResponseWriter, r *http.Request, v identity.Visitor, old store.Client) error {
	client, faults := readClient(r.PostForm, old)
	secret := ""
	if client.TokenEndpointAuthMethod != old.TokenEndpointAuthMethod {
		secret = idp.SetAuthMethod(&client, client.TokenEndpointAuthMethod)
	}
	if faults = mergeFaults(faults, idp.FieldErrors(idp.CheckClient(client))); len(faults) > 0 {
		return p.render.Render(w, http.StatusUnprocessableEntity, p.showClient(p.base(r, &v), old, typedValues(r.PostForm, old), faults))
	}
	fields, err := idp.ChangedFields(old, client)
	if err != nil {
		return err
	}
	if len(fields) > 0 {
		if err := p.store.UpdateClient(r.Context(), client); errors.Is(err, store.ErrConflict) {
			return p.conflict(w, r, v, old)
		} else if err != nil {
			return err
		}
		p.clientEvent(r.Context(), v, "client_update", client.ClientID, slog.String("fields", strings.Join(fields, " ")))
		if err := p.clients.Reload(r.Context()); err != nil {
			return err
		}
	}
	if secret != "" {
		return p.render.Render(w, http.StatusOK, &ClientSecretPage{Base: p.base(r, &v), ID: client.ClientID, Name: client.Name, Link: clientPath(client.ClientID), Secret: secret})
	}
	return see(w, clientPath(client.ClientID)+"?done=saved")
}

// rotateSecret gives the client a new secret and shows it, once.
func (p *Portal) rotateSecret(w http.ResponseWriter, r *http.Request, v identity.Visitor, client store.Client) error {
	keep, ok := keepOldChoices[r.PostForm.Get("keep_old")]
	if !ok && r.PostForm.Has("keep_old") {
		return p.render.Render(w, http.StatusUnprocessableEntity, p.showClient(p.base(r, &v), client, clientValues(client), map[string][]string{"keep_old": {"must be one of these"}}))
	}
	if !idp.NeedsSecret(client.TokenEndpointAuthMethod) {
		page := p.showClient(p.base(r, &v), client, clientValues(client), nil)
		page.Refused = Say("client.refused.secret")
		return p.render.Render(w, http.StatusUnprocessableEntity, page)
	}
	page := &ClientSecretPage{Base: p.base(r, &v), ID: client.ClientID, Name: client.Name, Link: clientPath(client.ClientID)}
	rotated := client
	page.Secret = idp.RotateSecret(&rotated, keep, p.now())
	if keep > 0 {
		page.OldUntil = shownUTC(rotated.OldSecretUntil)
	}
	if err := p.updateClient(r.Context(), v, rotated, "client_secret_rotate"); errors.Is(err, store.ErrConflict) {
		return p.conflict(w, r, v, client)
	} else if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) setClientDisabled(w http.ResponseWriter, r *http.Request, v identity.Visitor, client store.Client, disabled bool) error {
	event, done := "client_enable", "enabled"
	if disabled {
		event, done = "client_disable", "disabled"
	}
	if client.Disabled != disabled {
		changed := client
		changed.Disabled = disabled
		if err := p.updateClient(r.Context(), v, changed, event); errors.Is(err, store.ErrConflict) {
			return p.conflict(w, r, v, client)
		} else if err != nil {
			return err
		}
	}
	return see(w, clientPath(client.ClientID)+"?done="+done)
}

func (p *Portal) deleteClient(w http.ResponseWriter, r *http.Request, v identity.Visitor, client store.Client) error {
	if err := p.store.DeleteClient(r.Context(), client.ClientID); errors.Is(err, store.ErrNotFound) {
		return p.unknown(w, r)
	} else if err != nil {
		return err
	}
	p.clientEvent(r.Context(), v, "client_delete", client.ClientID)
	if err := p.clients.Reload(r.Context()); err != nil {
		return err
	}
	return see(w, pathClients+"?done=deleted")
}

// updateClient stores a changed client, records the event and puts the change
// in force here at once; other servers learn of it within a second.
func (p *Portal) updateClient(ctx context.Context, v identity.Visitor, client store.Client, event string) error {
	if err := p.store.UpdateClient(ctx, client); err != nil {
		return err
	}
	p.clientEvent(ctx, v, event, client.ClientID)
	return p.clients.Reload(ctx)
}

func (p *Portal) clientEvent(ctx context.Context, v identity.Visitor, name, id string, detail ...slog.Attr) {
	p.directory.Audit.Event(ctx, identity.Event{Name: name, User: v.User.Username, Sub: v.User.Sub, Client: id, Result: "success", Detail: detail})
}

func askAboutClient(base Base, c store.Client, ask string) *AskPage {
	name := longText(displayName(c))
	page := &AskPage{Base: base, Place: pathClients, Action: clientPath(c.ClientID), Back: clientPath(c.ClientID), Button: Hidden{"action", ask},
		Fields: []Hidden{{"version", strconv.FormatInt(c.Version, 10)}}}
	if ask == "disable" {
		page.Title, page.Text, page.Submit = Say("client.ask.disable", "name", name), Say("client.ask.disable.text"), Say("client.disable")
		page.Consequences = []Sentence{Say("client.ask.disable.people"), Say("client.ask.disable.tokens"), Say("client.ask.disable.back")}
		return page
	}
	page.Title, page.Text, page.Submit = Say("client.ask.delete", "name", name), Say("client.ask.delete.text"), Say("client.delete")
	page.Consequences = []Sentence{Say("client.ask.delete.people"), Say("client.ask.delete.tokens"), Say("client.ask.delete.consents")}
	return page
}

func displayName(c store.Client) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ClientID
}

// longText is a value that a sentence may show longer than usual.
func longText(s string) template.HTML {
	return template.HTML(template.HTMLEscapeString(clipLong(s))) // #nosec G203 -- escaped
}

// testClient shows what the client would get of a person.
func (p *Portal) testClient(w http.ResponseWriter, r *http.Request, v identity.Visitor, client store.Client) error {
	name := r.PostForm.Get("username")
	user, err := p.directory.UserByName(r.Context(), name)
	if errors.Is(err, store.ErrNotFound) {
		values := clientValues(client)
		values.Set("username", name)
		return p.render.Render(w, http.StatusUnprocessableEntity, p.showClient(p.base(r, &v), client, values, map[string][]string{"username": {"is nobody's user name"}}))
	}
	if err != nil {
		return err
	}
	preview, err := p.provider.Preview(client, user)
	if err != nil {
		return err
	}
	page := &ClientTestPage{Base: p.base(r, &v), ID: client.ClientID, Name: client.Name, Link: clientPath(client.ClientID), UserName: user.Username, Scopes: preview.Scopes,
		IDTokenBytes: int64(preview.IDTokenBytes), UserInfoBytes: int64(preview.UserInfoBytes), SessionBytes: int64(preview.Session.Bytes), Groups: int64(preview.Session.Groups),
		Again: personField(user.Username, nil)}
	for _, warning := range preview.Warnings {
		page.Warnings = append(page.Warnings, warningSentence(warning, client))
	}
	if page.IDToken, err = claimsJSON(preview.IDToken); err != nil {
		return err
	}
	if page.UserInfo, err = claimsJSON(preview.UserInfo); err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

func warningSentence(warning idp.Warning, c store.Client) Sentence {
	switch warning {
	case idp.WarnClientDisabled:
		return Say("client.test.client_disabled")
	case idp.WarnPersonDisabled:
		return Say("client.test.person_disabled")
	case idp.WarnNoAccess:
		return Say("client.test.no_access", "groups", longText(strings.Join(c.AllowedGroups, ", ")))
	case idp.WarnNoFactor:
		return Say("client.test.no_factor")
	case idp.WarnNoEmail:
		return Say("client.test.no_email")
	case idp.WarnEmailUnverified:
		return Say("client.test.email_unverified")
	case idp.WarnNoName:
		return Say("client.test.no_name")
	case idp.WarnTooLarge:
		return Say("client.test.too_large")
	}
	return Say("client.test.no_openid")
}

// maxShownGroups bounds the groups that the claims of a test show.
const maxShownGroups = 200

// claimsJSON writes claims for people; "" for none.
func claimsJSON(claims map[string]any) (string, error) {
	if claims == nil {
		return "", nil
	}
	if groups, ok := claims["groups"].([]string); ok && len(groups) > maxShownGroups {
		claims["groups"] = append(slices.Clone(groups[:maxShownGroups]), "…")
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(claims)
	return strings.TrimSpace(out.String()), err
}
