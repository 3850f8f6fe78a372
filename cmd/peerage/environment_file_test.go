package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironmentFile(t *testing.T) {
	const file = `# Loop Portal
; systemd has this comment too

OIDC_ISSUER=https://id.example.net
  export BAO_ADDR = http://127.0.0.1:8200
EMPTY=
PASSED
DJANGO='as it is: \n "$x"'
QUOTED="a \"b\" \\ \$x \n" # and a comment
JSON=[{"client_id":"grafana","redirect_uris":["https://g.example.net/a#b"]}]
LONG=one \
  two
PEM="-----BEGIN PRIVATE KEY-----
MIIE==
-----END PRIVATE KEY-----
"
TWICE=1
TWICE=2
LAST=\`
	want := map[string]string{"OIDC_ISSUER": "https://id.example.net", "BAO_ADDR": "http://127.0.0.1:8200", "EMPTY": "",
		"DJANGO": `as it is: \n "$x"`, "QUOTED": `a "b" \ $x \n`, "JSON": `[{"client_id":"grafana","redirect_uris":["https://g.example.net/a#b"]}]`,
		"LONG": "one two", "PEM": "-----BEGIN PRIVATE KEY-----\nMIIE==\n-----END PRIVATE KEY-----\n", "TWICE": "2", "LAST": `\`}
	for name, text := range map[string]string{"as Unix has it": file, "as Windows has it": strings.ReplaceAll(file, "\n", "\r\n")} {
		got, err := parseEnvironmentFile(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A key whose quotes were forgotten must not come back in an error.
func TestEnvironmentFileNeverQuotesWhatItCannotRead(t *testing.T) {
	for file, want := range map[string]string{
		"KEY=-----BEGIN PRIVATE KEY-----\nhush/hush\nhush+==\n": "line 2 is not of the form NAME=VALUE (a value of several lines needs quotes)\nline 3 is not of the form NAME=VALUE (a value of several lines needs quotes)",
		"KEY=\"hush\nhush":     "line 1: the value of KEY has no closing quote",
		"KEY='hush' hush":      "line 1: the value of KEY has something behind its closing quote",
		"\nKEY=\"[{\"hush\"}]": "line 2: the value of KEY has something behind its closing quote",
	} {
		_, err := parseEnvironmentFile(file)
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}
