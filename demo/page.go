package demo

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"

	"github.com/pquerna/otp/totp"
)

//go:embed style.css
var stylesheet []byte

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Write(stylesheet)
}

// The page is written by hand: html/template belongs to the portal alone, and
// everything from outside goes through esc.
var esc = html.EscapeString

const head = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>%s</title><link rel="stylesheet" href="/style.css"></head>
<body><main><p class="tag">Sample application</p>
`

func (a *SampleApp) home(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var b strings.Builder
	fmt.Fprintf(&b, head, "Sample application")
	if s, ok := a.current(r); ok {
		a.writeSignedIn(&b, s)
	} else {
		fmt.Fprintf(&b, `<h1>Not signed in</h1><p>This stands for any service behind <a href="%s">%s</a>: Grafana, Forgejo, a wiki. It has no passwords of its own.</p>
<form method="post" action="/sign-in"><button>Sign in</button></form>
`, esc(a.Issuer), esc(a.Issuer))
	}
	a.writePeople(&b)
	b.WriteString("</main></body></html>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (a *SampleApp) writeSignedIn(b *strings.Builder, s signedIn) {
	name, _ := s.userinfo["name"].(string)
	if name == "" {
		name, _ = s.userinfo["sub"].(string)
	}
	fmt.Fprintf(b, `<h1>Signed in as %s</h1><p>The application knows this and nothing else:</p>
<h2>UserInfo</h2><pre tabindex="0">%s</pre>
<h2>ID token</h2><pre tabindex="0">%s</pre>
<div class="row"><form method="post" action="/refresh"><button class="quiet">Refresh the tokens</button></form>
<form method="post" action="/sign-out"><button class="quiet">Sign out</button></form></div>
`, esc(name), esc(indented(s.userinfo)), esc(indented(s.claims)))
}

func (a *SampleApp) writePeople(b *strings.Builder) {
	b.WriteString(`<h2 id="people">People of this demo</h2><p>Codes change every 30 seconds: <a href="/">show the codes of now</a>.</p>
<div class="wide" tabindex="0" role="region" aria-labelledby="people"><table><thead><tr><th scope="col">User name</th><th scope="col">Password</th><th scope="col">Code now</th><th scope="col">What to see</th></tr></thead><tbody>
`)
	for _, p := range a.People {
		code := "none"
		if p.TOTPSecret != "" {
			var err error
			if code, err = totp.GenerateCode(p.TOTPSecret, a.Now()); err != nil {
				code = "not known"
			}
		}
		fmt.Fprintf(b, "<tr><th scope=\"row\"><code>%s</code></th><td><code>%s</code></td><td><code>%s</code></td><td>%s</td></tr>\n", esc(p.Username), esc(p.Password), esc(code), esc(p.Note))
	}
	b.WriteString("</tbody></table></div>\n")
}

func writeFault(w io.Writer, err error) {
	fmt.Fprintf(w, head+`<h1>This did not work</h1><p>%s</p><p><a href="/">Back to the start</a></p></main></body></html>
`, "Sample application", esc(err.Error()))
}
