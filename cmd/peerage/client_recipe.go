package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"peerage/idp/recipe"
	"peerage/store"
)

type clientRecipeCommand struct {
	Name string            `arg:"" optional:"" name:"recipe" help:"Recipe, such as grafana; without one, all are listed."`
	URL  string            `name:"url" placeholder:"URL" help:"Address of the application, as people open it."`
	ID   string            `name:"id" placeholder:"ID" help:"client_id; the recipe's name when absent."`
	Set  map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"Answer to what else the recipe asks for; may be given several times."`
	JSON bool              `name:"json" help:"Print one JSON object with client_id, client_secret, configuration and notes; for the list, one JSON array."`
}

// recipeMade is what programs get of a client that a recipe made.
type recipeMade struct {
	clientSecret
	Configuration []recipe.Step `json:"configuration"`
	Notes         []string      `json:"notes"`
}

// recipeListed is one recipe of the list.
type recipeListed struct {
	Name   string         `json:"name"`
	Title  string         `json:"title"`
	About  string         `json:"about"`
	Inputs []recipe.Input `json:"inputs"`
}

// Run registers the client of a recipe and prints the other side's configuration.
func (c clientRecipeCommand) Run(ctx context.Context, p *program) error {
	if c.Name == "" {
		return c.list(p)
	}
	r, ok := recipe.Find(c.Name)
	if !ok {
		return usagef("there is no recipe %q, but %s", c.Name, strings.Join(recipe.Names(), ", "))
	}
	if c.URL == "" {
		return usagef("--url is needed: %s (%s)", r.URL.Label, r.URL.Example)
	}
	in, err := p.open(ctx, "PEERAGE_ISSUER")
	if err != nil {
		return err
	}
	defer in.close()
	made, err := r.Make(recipe.Order{Issuer: in.settings.Issuer, URL: c.URL, ID: c.ID, Values: c.Set})
	if err != nil {
		return fmt.Errorf("the recipe %s cannot be made like that:\n%w", c.Name, err)
	}
	if err := in.addRecipe(ctx, made.Client); err != nil {
		return err
	}
	in.warnOfGroups(ctx, p, made.Client.ClientID, made.Client.AllowedGroups)
	if c.JSON {
		return printJSON(p.stdout, recipeMade{clientSecret{made.Client.ClientID, made.Secret}, made.Steps, nonNil(made.Notes)})
	}
	return tellRecipe(p, made)
}

func (in *installation) addRecipe(ctx context.Context, client store.Client) error {
	if old, err := in.store.Client(ctx, client.ClientID); err == nil {
		return fmt.Errorf("there is already a client %q (from the %s); --id gives this one another id", old.ClientID, old.Source)
	} else if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reading client %q: %w", client.ClientID, err)
	}
	if err := in.store.CreateClient(ctx, client); err != nil {
		return fmt.Errorf("registering client %q: %w", client.ClientID, err)
	}
	in.clientEvent(ctx, "client_create", client.ClientID)
	return nil
}

func tellRecipe(p *program, made recipe.Made) error {
	fmt.Fprintf(p.stdout, "client_id:     %s\n", made.Client.ClientID)
	if made.Secret != "" {
		fmt.Fprintf(p.stdout, "client_secret: %s\n", made.Secret)
	}
	for i, s := range made.Steps {
		fmt.Fprintf(p.stdout, "\n# %d. %s\n\n%s\n", i+1, s.Title, s.Text)
	}
	for _, n := range made.Notes {
		fmt.Fprintf(p.stdout, "\nnote: %s\n", n)
	}
	if made.Secret == "" {
		return nil
	}
	_, err := fmt.Fprintln(p.stdout, "\nnext: copy this now; the secret is not shown again")
	return err
}

func (c clientRecipeCommand) list(p *program) error {
	var listed []recipeListed
	var rows [][]string
	for _, r := range recipe.All() {
		inputs := nonNil(r.Inputs)
		listed = append(listed, recipeListed{r.Name, r.Title, r.About, inputs})
		var names []string
		for _, in := range inputs {
			names = append(names, in.Name)
		}
		rows = append(rows, []string{r.Name, r.Title, strings.Join(names, " "), r.About})
	}
	if c.JSON {
		return printJSON(p.stdout, listed)
	}
	return printTable(p.stdout, []string{"RECIPE", "APPLICATION", "--set", "ABOUT"}, rows)
}

// nonNil makes an empty list of none, which is [] in JSON.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
