package portal

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/templates"
)

func TestEveryPageCompiles(t *testing.T) {
	r, err := NewRenderer(Brand{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(templates.FS, "*.html")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d pages, %v", len(names), err)
	}
	for lang, pages := range r.templates {
		for _, name := range names {
			if slices.Contains(frames, name) {
				continue
			}
			if _, err := pages.page(strings.TrimSuffix(name, ".html")); err != nil {
				t.Errorf("in %s: %v", lang, err)
			}
		}
		if _, err := pages.page("nothing"); err == nil {
			t.Error("a page without a file was found")
		}
	}
}
