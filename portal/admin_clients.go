package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"peerage/identity"
	"peerage/idp"
	"peerage/idp/recipe"
	"peerage/store"
)

const (
	pathClients = "/admin/clients"
	// clientsPerPage is how many clients a page of the list shows.
	clientsPerPage = 50
)

// clientPath is the address of a client's page.
func clientPath(id string) string { return pathClients + "/" + url.PathEscape(id) }

// clientsPage lists the clients, or shows how to register one: with ?new=yes
// the empty form, with ?recipe= the recipes or the questions of one.
func (p *Portal) clientsPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	query := r.URL.Query()
	switch {
	case query.Get("new") != "":
		return p.render.Render(w, http.StatusOK, newClientPage(p.base(r, &v), "", clientValues(store.Client{}), nil))
	case query.Has("recipe"):
		return p.recipePage(w, r, v, query.Get("recipe"))
	}
	all, err := p.listedClients(r.Context(), query.Get("q"))
	if err != nil {
		return err
	}
	page := pageNumber(query)
	from := min((page-1)*clientsPerPage, len(all))
	to := min(from+clientsPerPage, len(all))
	shown := &ClientsPage{Base: p.base(r, &v), Search: query.Get("q"), Total: len(all), Pager: newPager(pathClients, query, page, to < len(all)), Done: query.Get("done")}
	for _, c := range all[from:to] {
		shown.Clients = append(shown.Clients, ClientRow{ID: c.ClientID, Name: c.Name, Link: clientPath(c.ClientID), Kind: kindOfClient(c),
			System: c.Source == store.SourceSettings, Disabled: c.Disabled, Groups: c.AllowedGroups})
	}
	return p.render.Render(w, http.StatusOK, shown)
}

// listedClients are those whose id or name holds the words, one from the
// settings in the place of a stored one.
func (p *Portal) listedClients(ctx context.Context, words string) ([]store.Client, error) {
	all, err := p.store.Clients(ctx, "")
	if err != nil {
		return nil, err
	}
	all = slices.CompactFunc(all, func(a, b store.Client) bool { return a.ClientID == b.ClientID })
	words = strings.ToLower(strings.TrimSpace(words))
	return slices.DeleteFunc(all, func(c store.Client) bool {
		return !strings.Contains(strings.ToLower(c.ClientID), words) && !strings.Contains(strings.ToLower(c.Name), words)
	}), nil
}

// recipePage shows the recipes, or what one of them asks for.
func (p *Portal) recipePage(w http.ResponseWriter, r *http.Request, v identity.Visitor, name string) error {
	if name == "" {
		page := &RecipesPage{Base: p.base(r, &v)}
		for _, c := range recipe.All() {
			page.Recipes = append(page.Recipes, RecipeCard{Title: c.Title, About: c.About, Link: pathClients + "?recipe=" + url.QueryEscape(c.Name)})
		}
		return p.render.Render(w, http.StatusOK, page)
	}
	chosen, ok := recipe.Find(name)
	if !ok {
		return p.unknown(w, r)
	}
	values := url.Values{recipe.FieldID: {chosen.Name}}
	for _, in := range chosen.Inputs {
		values.Set(in.Name, in.Default)
	}
	return p.render.Render(w, http.StatusOK, recipeForm(p.base(r, &v), chosen, values, nil))
}

// recipeForm is the page that asks what a recipe needs to know.
func recipeForm(base Base, c recipe.Recipe, values url.Values, faults map[string][]string) *RecipePage {
	page := &RecipePage{Base: base, Name: c.Name, Title: c.Title, About: c.About}
	for _, in := range append([]recipe.Input{c.URL}, c.Inputs...) {
		page.Fields = append(page.Fields, Field{Name: in.Name, Label: Say("recipe.label", "label", in.Label), Hint: recipeHint(in),
			Value: values.Get(in.Name), Max: 1024, Mono: true, Required: !in.Optional && in.Kind != recipe.KindULID, Fault: faultSentence(faults[in.Name])})
	}
	page.Fields = append(page.Fields, Field{Name: recipe.FieldID, Label: Say("client.client_id"), Hint: Say("client.client_id.hint"),
		Value: values.Get(recipe.FieldID), Max: 200, Mono: true, Required: true, Fault: faultSentence(faults[recipe.FieldID])})
	page.Faults = faulty(page.Fields...)
	return page
}

func recipeHint(in recipe.Input) Sentence {
	if in.Example == "" {
		return Say("recipe.hint", "hint", longText(in.Hint))
	}
	return Say("recipe.hint.example", "hint", longText(in.Hint), "example", longText(in.Example))
}

// createClient registers a client, by a recipe or by all its fields.
func (p *Portal) createClient(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	if name := r.PostForm.Get("recipe"); name != "" {
		return p.createByRecipe(w, r, v, name)
	}
	id := strings.TrimSpace(r.PostForm.Get("client_id"))
	client, faults := readClient(r.PostForm, store.Client{})
	client.ClientID = id
	secret := ""
	if idp.NeedsSecret(client.TokenEndpointAuthMethod) {
		secret, client.ClientSecretHash = idp.NewClientSecret()
	}
	again := func(faults map[string][]string) error {
		return p.render.Render(w, http.StatusUnprocessableEntity, newClientPage(p.base(r, &v), id, typedValues(r.PostForm, store.Client{}), faults))
	}
	if faults = mergeFaults(faults, idp.FieldErrors(idp.CheckClient(client))); len(faults) > 0 {
		return again(faults)
	}
	faults, err := p.addClient(r.Context(), v, client)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return again(faults)
	}
	if secret == "" {
		return see(w, clientPath(id)+"?done=created")
	}
	return p.render.Render(w, http.StatusOK, &ClientSecretPage{Base: p.base(r, &v), ID: id, Name: client.Name, Link: clientPath(id), Made: true, Secret: secret})
}

func (p *Portal) createByRecipe(w http.ResponseWriter, r *http.Request, v identity.Visitor, name string) error {
	chosen, ok := recipe.Find(name)
	if !ok {
		return p.unknown(w, r)
	}
	order := recipe.Order{Issuer: p.Issuer, URL: r.PostForm.Get(recipe.FieldURL), ID: strings.TrimSpace(r.PostForm.Get(recipe.FieldID)), Values: map[string]string{}}
	for _, in := range chosen.Inputs {
		order.Values[in.Name] = r.PostForm.Get(in.Name)
	}
	made, err := chosen.Make(order)
	faults := idp.FieldErrors(err)
	if other := faults[""]; len(other) > 0 {
		return err // not a fault of what was typed
	}
	if len(faults) == 0 {
		if faults, err = p.addClient(r.Context(), v, made.Client); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return p.render.Render(w, http.StatusUnprocessableEntity, recipeForm(p.base(r, &v), chosen, r.PostForm, faults))
	}
	page := &ClientSecretPage{Base: p.base(r, &v), ID: made.Client.ClientID, Name: made.Client.Name, Link: clientPath(made.Client.ClientID), Made: true, Secret: made.Secret, Notes: made.Notes}
	for _, s := range made.Steps {
		page.Steps = append(page.Steps, RecipeStep(s))
	}
	return p.render.Render(w, http.StatusOK, page)
}

// addClient stores a client that was checked; the faults say that its id is
// taken.
func (p *Portal) addClient(ctx context.Context, v identity.Visitor, client store.Client) (map[string][]string, error) {
	taken := map[string][]string{"client_id": {"is taken by another client"}}
	if _, err := p.store.Client(ctx, client.ClientID); err == nil {
		return taken, nil
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	err := p.store.CreateClient(ctx, client)
	if errors.Is(err, store.ErrExists) {
		return taken, nil
	}
	if err != nil {
		return nil, err
	}
	p.clientEvent(ctx, v, "client_create", client.ClientID)
	return nil, p.clients.Reload(ctx)
}

// newClientPage is the form of a new client.
func newClientPage(base Base, id string, values url.Values, faults map[string][]string) *ClientPage {
	sections, hidden := clientForm(values, faults, false)
	name := Field{Name: "client_id", Label: Say("client.client_id"), Hint: Say("client.client_id.hint"), Value: id, Max: 200, Mono: true, Required: true, Fault: faultSentence(faults["client_id"])}
	sections[0].Fields = append([]Field{name}, sections[0].Fields...)
	return &ClientPage{Base: base, New: true, Hidden: hidden, Sections: sections, Faults: sectionFaults(sections)}
}

// mergeFaults adds the faults of a registration to those of reading the form,
// of which one a field is enough.
func mergeFaults(typed, registered map[string][]string) map[string][]string {
	all := map[string][]string{}
	for _, faults := range []map[string][]string{registered, typed} {
		for name, problems := range faults {
			if _, control := clientControls[name]; !control && name != "client_id" {
				name = "token_endpoint_auth_method" // about the secret, which has no control
			}
			all[name] = problems
		}
	}
	return all
}

// typedValues are what was typed, and the client's own values where the form
// had no such field.
func typedValues(form url.Values, c store.Client) url.Values {
	values := clientValues(c)
	for name := range clientControls {
		if typed, ok := form[name]; ok {
			values[name] = typed
		}
	}
	return values
}
