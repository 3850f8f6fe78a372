package e2e

import (
	"strings"
	"testing"
)

// recipeMade is what `peerage client recipe` tells programs.
type recipeMade struct {
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret"`
	Configuration []struct{ Title, Text string }
}

// recipe registers an application by its recipe; the running server knows it
// afterwards.
func (s *server) recipe(t *testing.T, name string, args ...string) recipeMade {
	t.Helper()
	var made recipeMade
	s.runJSON(t, &made, append([]string{"client", "recipe", name, "--json"}, args...)...)
	if s.cmd != nil {
		s.awaitClient(t, made.ClientID)
	}
	return made
}

// step is the text of the step that holds those words.
func (m recipeMade) step(t *testing.T, words string) string {
	t.Helper()
	for _, s := range m.Configuration {
		if strings.Contains(s.Text, words) {
			return s.Text
		}
	}
	t.Fatalf("no step of the recipe holds %q: %+v", words, m.Configuration)
	return ""
}
