package peeringdb

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
)

//go:embed style.css
var css []byte

func stylesheet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Write(css)
}

// The pages are written by hand, since html/template belongs to the portal;
// everything from outside goes through esc.
var esc = html.EscapeString

func (s *Server) page(w http.ResponseWriter, status int, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Cache-Control", "max-age=0, no-cache, no-store, must-revalidate, private")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>%s</title><link rel="stylesheet" href="/style.css"></head>
<body><main><p class="tag">Look-alike of PeeringDB, for trying out</p><h1>%s</h1>
%s</main></body></html>
`, esc(title), esc(title), body)
}

func (s *Server) peoplePage(w http.ResponseWriter, next, fault string) {
	var b strings.Builder
	if fault != "" {
		fmt.Fprintf(&b, "<p role=\"alert\">%s</p>\n", esc(fault))
	}
	b.WriteString("<p>Who signs in? Choosing somebody stands for their password and code.</p>\n<form method=\"post\" action=\"/account/login/\">\n")
	fmt.Fprintf(&b, "<input type=\"hidden\" name=\"next\" value=\"%s\">\n<ul>\n", esc(next))
	for _, p := range s.people {
		note := p.Note
		if p.Inactive {
			note = "account closed"
		}
		fmt.Fprintf(&b, "<li><button name=\"person\" value=\"%s\">%s</button> <span>%s</span></li>\n", esc(p.Username), esc(p.Username), esc(note))
	}
	b.WriteString("</ul></form>\n")
	s.page(w, http.StatusOK, "Login", b.String())
}

// consentPage is all or nothing: single scopes cannot be refused.
func (s *Server) consentPage(w http.ResponseWriter, r *http.Request, c Client, p *Person, scope string) {
	var b strings.Builder
	fmt.Fprintf(&b, "<p>Signed in as <strong>%s</strong>. The application <strong>%s</strong> asks for:</p>\n<ul>\n", esc(p.Username), esc(c.ID))
	for one := range strings.FieldsSeq(scope) {
		fmt.Fprintf(&b, "<li>%s</li>\n", esc(one))
	}
	action := url.URL{Path: "/oauth2/authorize/", RawQuery: r.URL.RawQuery}
	fmt.Fprintf(&b, `</ul><form class="row" method="post" action="%s"><button name="allow" value="Authorize">Authorize</button><button class="quiet" name="cancel" value="Cancel">Cancel</button></form>
`, esc(action.String()))
	s.page(w, http.StatusOK, "Authorize", b.String())
}

// notFound is a page, also for an API address with a slash too many.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/oauth2/") {
		w.Header().Del("X-Auth-Status")
	}
	s.page(w, http.StatusNotFound, "404 - Not Found", "<p>The page you requested does not exist.</p>")
	w.Header().Del("Cache-Control")
}

func (s *Server) serverError(w http.ResponseWriter) {
	answerHTML(w, http.StatusInternalServerError, "Server Error (500)")
}

func answerHTML(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// redirect answers 302 without a body, as Django does.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	answerHTML(w, http.StatusFound, "")
}

// addSlash is Django's: a POST without the slash loses its form.
func addSlash(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Path + "/"
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Del("X-Auth-Status")
	w.Header().Del("X-Frame-Options")
	w.Header().Set("Location", to)
	answerHTML(w, http.StatusMovedPermanently, "")
}

// post refuses other methods as Django does.
func post(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST, OPTIONS")
			answerHTML(w, http.StatusMethodNotAllowed, "")
			return
		}
		h(w, r)
	}
}
