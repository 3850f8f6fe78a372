package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const moduleRoot = "../.."

// TestArchitecture holds the tree to the rules of architecture_rules_test.go.
func TestArchitecture(t *testing.T) {
	packages := listPackages(t)
	files := readSources(t)
	for name, faults := range map[string][]string{
		"import line":          importLineFaults(packages),
		"sole owners":          soleOwnerFaults(packages),
		"nothing for tests":    linkedTestFaults(packages),
		"sole speakers":        soleSpeakerFaults(files),
		"file sizes":           sizeFaults(files),
		"names that say what":  nameFaults(files),
		"banned OIDC library":  bannedNameFaults(files),
		"the rules see a tree": emptyTreeFaults(packages, files),
	} {
		t.Run(name, func(t *testing.T) {
			for _, fault := range faults {
				t.Error(fault)
			}
		})
	}
}

// emptyTreeFaults keeps the rules from passing because they were shown nothing.
func emptyTreeFaults(packages []goPackage, files []sourceFile) []string {
	var faults []string
	for _, want := range []string{"migrations", "store", "identity"} {
		if !slices.ContainsFunc(packages, func(p goPackage) bool { return p.ImportPath == modulePath+"/"+want }) {
			faults = append(faults, "package "+want+" was not listed")
		}
		if !slices.ContainsFunc(files, func(f sourceFile) bool { return within(f.Path, want) }) {
			faults = append(faults, "no source of "+want+" was read")
		}
	}
	return faults
}

// listPackages asks the go command for our packages and their imports. -e,
// because a package that does not build yet has imports all the same.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Dir = moduleRoot
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v\n%s", err, &stderr)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg goPackage
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("reading the list of packages: %v", err)
		}
		packages = append(packages, pkg)
	}
}

// readSources parses every Go file of the module, those for other systems too.
func readSources(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(moduleRoot, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != moduleRoot && isForeign(name) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(moduleRoot, name)
		if err != nil {
			return err
		}
		files = append(files, parseSource(t, filepath.ToSlash(relative), string(source)))
		return nil
	})
	if err != nil {
		t.Fatalf("reading the sources: %v", err)
	}
	return files
}

// isForeign tells whether a folder holds no Go source of this module: those the
// go command passes over, and nested modules.
func isForeign(dir string) bool {
	base := filepath.Base(dir)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func parseSource(t *testing.T, name, source string) sourceFile {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	return sourceFile{Path: name, Lines: strings.Count(source, "\n"), Syntax: syntax}
}

// TestArchitectureRulesOnPackages shows that each rule about imports can fail,
// and does not where it should not.
func TestArchitectureRulesOnPackages(t *testing.T) {
	tests := []struct {
		name string
		rule func([]goPackage) []string
		give goPackage
		want []string
	}{
		{
			"to the right", importLineFaults,
			goPackage{ImportPath: "peerage/idp", Imports: []string{"fmt", "peerage/identity", "peerage/store"}}, nil,
		}, {
			"to the left", importLineFaults,
			goPackage{ImportPath: "peerage/store", Imports: []string{"peerage/identity"}},
			[]string{"peerage/store must not import peerage/identity"},
		}, {
			"to the left from below", importLineFaults,
			goPackage{ImportPath: "peerage/identity/local", Imports: []string{"peerage/identity", "peerage/idp"}},
			[]string{"peerage/identity/local must not import peerage/idp"},
		}, {
			"to the left in tests", importLineFaults,
			goPackage{
				ImportPath: "peerage/idp", TestImports: []string{"peerage/store/storetest", "peerage/portal"},
				XTestImports: []string{"peerage/templates"},
			},
			[]string{
				"peerage/idp (in its tests) must not import peerage/portal",
				"peerage/idp (in its tests) must not import peerage/templates",
			},
		}, {
			"templates from the command", importLineFaults,
			goPackage{ImportPath: "peerage/cmd/peerage", Imports: []string{"peerage/portal", "peerage/demo", "peerage/static"}},
			[]string{"peerage/cmd/peerage must not import peerage/static"},
		}, {
			"demo from tests", importLineFaults,
			goPackage{ImportPath: "peerage/identity", XTestImports: []string{"peerage/demo"}}, nil,
		}, {
			"a whole site from tests", importLineFaults,
			goPackage{ImportPath: "peerage/idp", TestImports: []string{"peerage/portal/portaltest"}, XTestImports: []string{"peerage/portal/portaltest"}},
			[]string{"peerage/idp (in its tests) must not import peerage/portal/portaltest"},
		}, {
			"demo from the product", importLineFaults,
			goPackage{ImportPath: "peerage/identity", Imports: []string{"peerage/demo"}},
			[]string{"peerage/identity must not import peerage/demo"},
		}, {
			"no place", importLineFaults,
			goPackage{ImportPath: "peerage/internal/strings"},
			[]string{"peerage/internal/strings has no place in the import line"},
		}, {
			"an import without a place", importLineFaults,
			goPackage{ImportPath: "peerage/portal", Imports: []string{"peerage/portals"}},
			[]string{"peerage/portal must not import peerage/portals"},
		}, {
			"owners", soleOwnerFaults,
			goPackage{ImportPath: "peerage/store/storetest", Imports: []string{"database/sql", "github.com/jackc/pgx/v5/stdlib"}}, nil,
		}, {
			"SQL outside the store", soleOwnerFaults,
			goPackage{
				ImportPath: "peerage/idp",
				Imports:    []string{"database/sql/driver", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "github.com/zitadel/oidc/v3/pkg/op"},
			},
			[]string{
				"peerage/idp must not import database/sql/driver: only store may",
				"peerage/idp must not import modernc.org/sqlite: only store may",
				"peerage/idp must not import github.com/jackc/pgx/v5: only store may",
			},
		}, {
			"the OIDC library outside idp", soleOwnerFaults,
			goPackage{ImportPath: "peerage/identity", Imports: []string{"github.com/openbao/openbao/api/v2", "github.com/zitadel/oidc/v3/pkg/oidc"}},
			[]string{"peerage/identity must not import github.com/zitadel/oidc/v3/pkg/oidc: only idp may"},
		}, {
			"pages and OpenBao in the demo", soleOwnerFaults,
			goPackage{ImportPath: "peerage/demo", Imports: []string{"html/template", "github.com/openbao/openbao/api/v2"}},
			[]string{
				"peerage/demo must not import html/template: only portal may",
				"peerage/demo must not import github.com/openbao/openbao/api/v2: only identity may",
			},
		}, {
			"owned imports in tests", soleOwnerFaults,
			goPackage{ImportPath: "peerage/idp", TestImports: []string{"database/sql"}}, nil,
		}, {
			"a clean binary", linkedTestFaults,
			goPackage{ImportPath: "peerage/cmd/peerage", Deps: []string{"net/http", "peerage/store"}}, nil,
		}, {
			"tests in the binary", linkedTestFaults,
			goPackage{ImportPath: "peerage/cmd/peerage", Deps: []string{"peerage/store/storetest", "pgregory.net/rapid", "testing"}},
			[]string{
				"the binary links peerage/store/storetest, which is for tests",
				"the binary links pgregory.net/rapid, which is for tests",
				"the binary links testing, which is for tests",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.rule([]goPackage{test.give})); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
