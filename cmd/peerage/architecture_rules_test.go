package main_test

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The rules of the architecture, as functions from data to faults. A fault is
// one line that names the place and the rule; no faults means the rule is kept.

const modulePath = "peerage"

// goPackage is one package of ours as `go list -json` describes it.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string // imports of _test.go files in the package
	XTestImports []string // imports of _test.go files in the package NAME_test
	Deps         []string // all packages that Imports lead to
}

// sourceFile is one parsed Go file, whatever its build constraints say.
type sourceFile struct {
	Path   string // slash-separated, relative to the module's root
	Lines  int
	Syntax *ast.File
}

func (f sourceFile) isTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

// mayImport is the import line: which of our packages the packages of a place
// may import, beside those of their own place. A place is a folder with all
// below it. The line runs cmd/peerage → portal → idp → identity → store →
// migrations; what is not on it stands below.
var mayImport = map[string][]string{
	"cmd/peerage": {"portal", "idp", "identity", "store", "migrations", "tracing", "demo"},
	"portal":      {"idp", "identity", "store", "migrations", "tracing", "templates", "static"},
	"idp":         {"identity", "store", "migrations", "tracing"},
	"identity":    {"store", "migrations", "tracing"},
	"store":       {"migrations", "tracing"},
	"migrations":  {},

	// Spans are begun in every place of the line.
	"tracing":   {},
	"templates": {},
	"static":    {},
	// The look-alikes of other servers serve the tests of every package, so
	// they can lean on none.
	"demo": {},
	// These drive the built binary from outside.
	"e2e":   {"demo", "identity", "store"},
	"bench": {"demo", "identity", "store"},
}

// testsMayImport is open to the tests of every place as well.
var testsMayImport = []string{"demo"}

// wholeSite is a complete server for tests. It stands to the left of what it
// tests; a package NAME_test may use it, since nothing imports such a package.
const wholeSite = modulePath + "/portal/portaltest"

// soleOwners says which imports belong to one place alone. Tests and bench are
// free: what they import is not in the binary.
var soleOwners = []struct{ Import, Place string }{
	{"database/sql", "store"},
	{"modernc.org/sqlite", "store"},
	{"github.com/jackc/pgx", "store"},
	{"github.com/zitadel/oidc", "idp"},
	{"github.com/openbao", "identity"},
	{"html/template", "portal"},
}

// soleSpeakers says which places alone may know the paths of another server's
// API. The settings hold defaults, and the demo answers at these paths.
var soleSpeakers = []struct {
	Server string
	Paths  []string
	Places []string
}{
	{"PeeringDB", []string{"/profile/v1"}, []string{"identity", "cmd/peerage", "demo"}},
	{"NetBox", []string{"/api/dcim/", "/api/ipam/", "/api/tenancy/"}, []string{"portal/exchange", "demo"}},
}

// testOnly are packages that must never be linked into the binary.
var testOnly = []string{
	"testing",
	"github.com/chromedp",
	"github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal",
	"pgregory.net/rapid",
	modulePath + "/store/storetest",
	modulePath + "/identity/openbao/baotest",
	wholeSite,
}

const maxLines = 600

// emptyNames say nothing of what a package or a file is about.
var emptyNames = []string{
	"base", "common", "helper", "helpers", "manager", "managers", "misc",
	"model", "models", "types", "util", "utils",
}

// bannedNames are the parts of zitadel/oidc v3.49.2 that are unsafe to use:
// they accept redirect addresses that a browser reads differently, skip PKCE,
// continue another browser's request, or panic on a crafted token. Several
// belong to servers of the library that keep every endpoint alive which one
// forgets to override.
var bannedNames = regexp.MustCompile(`^(` + strings.Join([]string{
	`ValidateAuthReqRedirectURI`, `ValidateAuthRequest\w*`, `AuthorizeCallback\w*`,
	`LegacyServer`, `NewLegacyServer`, `RegisterLegacyServer`, `NewProvider`, `NewOpenIDProvider`,
	`WithCustom\w*Endpoint\w*`, `NewAESCrypto`, `ParseRequestObject`, `CreateTokenExchangeRequest`,
	`GetTokenIDAndSubjectFromToken`, `VerifyJWTAssertion`, `VerifyAccessToken`, `VerifyIDTokenHint`,
	`AuthResponseFormPost`, `HasRedirectGlobs`,
}, "|") + `)$`)

const oidcLibrary = "github.com/zitadel/oidc"

// bannedQualified are banned only as members of a package of the library,
// because the bare name is a word that we need ourselves.
var bannedQualified = map[string][]string{
	oidcLibrary + "/v3/pkg/op":   {"Authorize", "Provider", "Storage"},
	oidcLibrary + "/v3/pkg/oidc": {"ParseToken"},
}

// within tells whether an import path or file lies in a folder or below it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, folder+"/")
}

func withinAny(p string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return within(p, folder) })
}

// place finds the entry of mayImport that a package of ours belongs to.
func place(importPath string) (string, bool) {
	for name := range mayImport {
		if within(importPath, modulePath+"/"+name) {
			return name, true
		}
	}
	return "", false
}

func importLineFaults(packages []goPackage) []string {
	var faults []string
	for _, pkg := range packages {
		from, ok := place(pkg.ImportPath)
		if !ok {
			faults = append(faults, fmt.Sprintf("%s has no place in the import line", pkg.ImportPath))
			continue
		}
		check := func(imports, allowed []string, who string) {
			for _, imported := range imports {
				if !within(imported, modulePath) {
					continue
				}
				if to, ok := place(imported); !ok || to != from && !slices.Contains(allowed, to) {
					faults = append(faults, fmt.Sprintf("%s%s must not import %s", pkg.ImportPath, who, imported))
				}
			}
		}
		check(pkg.Imports, mayImport[from], "")
		outside := slices.DeleteFunc(slices.Clone(pkg.XTestImports), func(imported string) bool { return imported == wholeSite })
		check(slices.Concat(pkg.TestImports, outside), slices.Concat(mayImport[from], testsMayImport), " (in its tests)")
	}
	return faults
}

func soleOwnerFaults(packages []goPackage) []string {
	var faults []string
	for _, pkg := range packages {
		if within(pkg.ImportPath, modulePath+"/bench") {
			continue
		}
		for _, imported := range pkg.Imports {
			for _, rule := range soleOwners {
				if within(imported, rule.Import) && !within(pkg.ImportPath, modulePath+"/"+rule.Place) {
					faults = append(faults, fmt.Sprintf("%s must not import %s: only %s may", pkg.ImportPath, imported, rule.Place))
				}
			}
		}
	}
	return faults
}

func linkedTestFaults(packages []goPackage) []string {
	var faults []string
	for _, pkg := range packages {
		if pkg.ImportPath != modulePath+"/cmd/peerage" {
			continue
		}
		for _, dep := range pkg.Deps {
			if withinAny(dep, testOnly) {
				faults = append(faults, fmt.Sprintf("the binary links %s, which is for tests", dep))
			}
		}
	}
	return faults
}

func soleSpeakerFaults(files []sourceFile) []string {
	var faults []string
	for _, file := range files {
		if file.isTest() {
			continue
		}
		ast.Inspect(file.Syntax, func(node ast.Node) bool {
			literal, ok := node.(*ast.BasicLit)
			if !ok {
				return true
			}
			for _, rule := range soleSpeakers {
				for _, apiPath := range rule.Paths {
					if strings.Contains(literal.Value, apiPath) && !withinAny(file.Path, rule.Places) {
						faults = append(faults, fmt.Sprintf("%s speaks to %s (%s): only %s may",
							file.Path, rule.Server, apiPath, strings.Join(rule.Places, ", ")))
					}
				}
			}
			return true
		})
	}
	return faults
}

func sizeFaults(files []sourceFile) []string {
	var faults []string
	for _, file := range files {
		if file.Lines > maxLines {
			faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d", file.Path, file.Lines, maxLines))
		}
	}
	return faults
}

// nameFaults looks at every word of a path: identity/totp_helpers_test.go is
// as empty a name as helpers.go. One word has a meaning in tests, where a
// rotation_model_test.go holds the model that a property test compares with.
func nameFaults(files []sourceFile) []string {
	var faults []string
	for _, file := range files {
		stem := strings.TrimSuffix(path.Base(file.Path), ".go")
		if file.isTest() {
			stem = strings.TrimSuffix(stem, "_model_test")
		}
		words := append(strings.Split(path.Dir(file.Path), "/"), strings.Split(stem, "_")...)
		words = append(words, strings.TrimSuffix(file.Syntax.Name.Name, "_test"))
		for _, word := range slices.Compact(slices.Sorted(slices.Values(words))) {
			if slices.Contains(emptyNames, strings.ToLower(word)) {
				faults = append(faults, fmt.Sprintf("%s is called %q, which says nothing", file.Path, word))
			}
		}
	}
	return faults
}

// bannedNameFaults reads the syntax and not the text, so that a comment may
// name the function it warns of. Only idp and whoever imports the library are
// read: elsewhere the same names are other things, such as go-oidc's NewProvider.
func bannedNameFaults(files []sourceFile) []string {
	var faults []string
	for _, file := range files {
		names, dotted := libraryNames(file.Syntax)
		if file.isTest() || !within(file.Path, "idp") && len(names) == 0 && !dotted {
			continue
		}
		if dotted {
			faults = append(faults, fmt.Sprintf("%s imports %s by a dot, which hides its names", file.Path, oidcLibrary))
		}
		ast.Inspect(file.Syntax, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.Ident:
				if bannedNames.MatchString(node.Name) {
					faults = append(faults, fmt.Sprintf("%s uses %s", file.Path, node.Name))
				}
			case *ast.SelectorExpr:
				if x, ok := node.X.(*ast.Ident); ok && slices.Contains(bannedQualified[names[x.Name]], node.Sel.Name) {
					faults = append(faults, fmt.Sprintf("%s uses %s.%s", file.Path, path.Base(names[x.Name]), node.Sel.Name))
				}
			}
			return true
		})
	}
	return faults
}

// libraryNames maps the names under which a file knows the library's packages
// to their import paths, and tells whether it imports one of them by a dot.
func libraryNames(file *ast.File) (names map[string]string, dotted bool) {
	names = make(map[string]string)
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !within(imported, oidcLibrary) {
			continue
		}
		switch {
		case spec.Name == nil:
			names[path.Base(imported)] = imported
		case spec.Name.Name == ".":
			dotted = true
		default:
			names[spec.Name.Name] = imported
		}
	}
	return names, dotted
}
