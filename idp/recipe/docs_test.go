package recipe

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	docsFile   = "../../docs/clients.md"
	docsMarker = "<!-- Written by go test ./idp/recipe -update from the recipes; change those. -->\n"
)

// driven are the recipes whose client and configuration the tests of e2e give
// to the real application. The others are written from what the applications
// were seen to demand, and from their documentation.
var driven = map[string]string{
	"oauth2-proxy": "Our tests run oauth2-proxy itself with this client and this file.",
	"kubernetes":   "Our tests run kubelogin itself with this client and these arguments, and verify its ID token as kube-apiserver does; they run no cluster.",
}

// docs/clients.md tells the same as the recipes.
func TestDocumentTellsTheRecipes(t *testing.T) {
	document, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	own, _, _ := strings.Cut(string(document), docsMarker)
	want := own + docsMarker + recipesDocument(t)
	if *update {
		if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(document)); diff != "" {
		t.Errorf("docs/clients.md (-from the recipes +there):\n%s", diff)
	}
}

func recipesDocument(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("\n## Recipes\n\nThe issuer is " + testIssuer + " in all of them. Where nothing else is said, the other side's configuration was not run with\n" +
		"the application by our tests.\n")
	for _, r := range all() {
		made := mustMake(t, r, example(r))
		fmt.Fprintf(&out, "\n### %s\n\n%s", r.Title, r.About)
		if said := driven[r.Name]; said != "" {
			out.WriteString(" " + said)
		}
		fmt.Fprintf(&out, "\n\n```\npeerage client recipe %s --url %s%s\n```\n", r.Name, r.URL.Example, asked(r))
		if len(r.Inputs) > 0 {
			out.WriteString("\n| `--set` | | when absent |\n| --- | --- | --- |\n")
		}
		for _, in := range r.Inputs {
			fmt.Fprintf(&out, "| `%s` | %s: %s | %s |\n", in.Name, in.Label, in.Hint, absent(in))
		}
		fmt.Fprintf(&out, "\nThe client:\n\n```json\n%s```\n", shown(t, made.Client))
		for _, s := range made.Steps {
			fmt.Fprintf(&out, "\n%s\n\n```\n%s\n```\n", s.Title, s.Text)
		}
		out.WriteString("\n")
		for _, n := range made.Notes {
			fmt.Fprintf(&out, "- %s\n", n)
		}
		var also []string
		for alias := range r.aliases {
			also = append(also, "`"+alias+"`")
		}
		if slices.Sort(also); len(also) > 0 {
			fmt.Fprintf(&out, "\nThe recipe is also called %s.\n", strings.Join(also, " and "))
		}
	}
	return out.String()
}

func asked(r Recipe) string {
	var flags strings.Builder
	for _, in := range r.Inputs {
		if in.Default == "" && in.Optional {
			fmt.Fprintf(&flags, " --set %s=%s", in.Name, in.Example)
		}
	}
	return flags.String()
}

func absent(in Input) string {
	switch {
	case in.Default != "":
		return "`" + in.Default + "`"
	case in.Kind == KindULID:
		return "a new one"
	}
	return ""
}
