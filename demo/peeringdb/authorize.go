package peeringdb

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	sessionCookie = "pdb_sessionid"
	oauthCookie   = "oauth_session"
	sessionLife   = 14 * 24 * time.Hour
	// oauthSessionLife is how long a sign-in counts for authorizing: after it
	// password and code are asked again, although the session lives.
	oauthSessionLife = 30 * time.Minute
)

// session is a browser that is signed in at the look-alike.
type session struct {
	person int
	amr    []string
	// oauth is the second cookie that authorize wants to see.
	oauth   string
	oauthAt time.Time
	expires time.Time
}

func (s *Server) session(r *http.Request) *session {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	one := s.sessions[cookie.Value]
	if one == nil || !s.now().Before(one.expires) || s.byID(one.person) == nil || s.byID(one.person).Inactive {
		return nil
	}
	return one
}

// mayAuthorize tells whether the second cookie is there and young enough.
func (s *Server) mayAuthorize(r *http.Request, one *session) bool {
	cookie, err := r.Cookie(oauthCookie)
	return err == nil && cookie.Value == one.oauth && s.now().Before(one.oauthAt.Add(oauthSessionLife))
}

// authorize leads through sign-in and consent, and back to the client. Nothing
// of the request is looked at before somebody is signed in.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	one := s.session(r)
	if one == nil || !s.mayAuthorize(r, one) || q.Get("prompt") == "login" {
		q.Del("prompt")
		if r.URL.Query().Get("prompt") == "none" {
			q.Set("prompt", "none")
		}
		redirect(w, "/account/login/?next="+url.QueryEscape("/oauth2/authorize/?"+q.Encode()))
		return
	}
	w.Header().Set("X-Auth-Status", "authenticated")
	p := s.byID(one.person)
	if p.VerifiedEmail && !p.hasSecondFactor() {
		redirect(w, "/account/two_factor/")
		return
	}
	i := slices.IndexFunc(s.clients, func(c Client) bool { return c.ID == q.Get("client_id") })
	if i < 0 || !slices.Contains(s.clients[i].RedirectURIs, q.Get("redirect_uri")) {
		s.page(w, http.StatusBadRequest, "Error", "<p>The application asked with a client id or a redirect address that is not registered.</p>")
		return
	}
	if fault := faultOf(q); fault != nil {
		s.back(w, q, fault)
		return
	}
	scope := strings.Join(scopes, " ")
	if q.Has("scope") {
		scope = q.Get("scope")
	}
	switch {
	case q.Get("prompt") == "none":
		s.serverError(w)
	case r.Method == http.MethodPost && r.PostFormValue("allow") == "":
		s.back(w, q, url.Values{"error": {"access_denied"}})
	case r.Method == http.MethodPost, q.Get("approval_prompt") != "force" && s.consented(s.clients[i].ID, p, scope):
		s.grant(w, q, one, scope)
	default:
		s.consentPage(w, r, s.clients[i], p, scope)
	}
}

// faultOf finds what is answered by redirect.
func faultOf(q url.Values) url.Values {
	switch kind := q.Get("response_type"); kind {
	case "code":
	case "":
		return url.Values{"error": {"invalid_request"}, "error_description": {"Missing response_type parameter."}}
	default:
		return url.Values{"error": {"unauthorized_client"}}
	}
	if method := q.Get("code_challenge_method"); q.Has("code_challenge") && !slices.Contains([]string{"", "plain", "S256"}, method) {
		return url.Values{"error": {"invalid_request"}, "error_description": {"Transform algorithm not supported."}}
	}
	if q.Has("scope") {
		asked := strings.Fields(q.Get("scope"))
		if len(asked) == 0 || slices.ContainsFunc(asked, func(one string) bool { return !slices.Contains(scopes, one) }) {
			return url.Values{"error": {"invalid_scope"}}
		}
	}
	return nil
}

// consented tells whether a live access token covers what is asked for.
func (s *Server) consented(client string, p *Person, scope string) bool {
	for _, a := range s.access {
		if a.client == client && a.person == p.ID && s.now().Before(a.expires) &&
			!slices.ContainsFunc(strings.Fields(scope), func(one string) bool { return !a.has(one) }) {
			return true
		}
	}
	return false
}

func (s *Server) grant(w http.ResponseWriter, q url.Values, one *session, scope string) {
	name := rand.Text()
	s.codes[name] = &code{client: q.Get("client_id"), redirectURI: q.Get("redirect_uri"), scope: scope, nonce: q.Get("nonce"),
		challenge: q.Get("code_challenge"), method: q.Get("code_challenge_method"), person: one.person, amr: one.amr, expires: s.now().Add(codeLifetime)}
	s.back(w, q, url.Values{"code": {name}})
}

// back answers the client. There is no iss (RFC 9207).
func (s *Server) back(w http.ResponseWriter, q url.Values, answer url.Values) {
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	to := q.Get("redirect_uri")
	joint := "?"
	if strings.Contains(to, "?") {
		joint = "&"
	}
	redirect(w, to+joint+answer.Encode())
}

// login shows the people; choosing one stands for password and code.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		s.peoplePage(w, r.URL.Query().Get("next"), "")
		return
	}
	next := r.PostFormValue("next")
	p := s.named(r.PostFormValue("person"))
	if p == nil || p.Inactive {
		s.peoplePage(w, next, "Please enter a correct username and password.")
		return
	}
	id, one := rand.Text(), &session{person: p.ID, amr: slices.Clone(p.AMR), oauth: rand.Text(), oauthAt: s.now(), expires: s.now().Add(sessionLife)}
	s.sessions[id] = one
	p.lastLogin = s.now().Unix()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLife.Seconds())})
	http.SetCookie(w, &http.Cookie{Name: oauthCookie, Value: one.oauth, Path: "/", MaxAge: int(oauthSessionLife.Seconds())})
	if !strings.HasPrefix(next, "/oauth2/authorize/?") {
		next = "/account/login/"
	}
	redirect(w, next)
}

// enrolSecondFactor is where people without one end: nothing leads back.
func (s *Server) enrolSecondFactor(w http.ResponseWriter, r *http.Request) {
	if s.session(r) != nil {
		w.Header().Set("X-Auth-Status", "authenticated")
	}
	s.page(w, http.StatusOK, "Multi-factor Authentication Management", "<p>Set up a second factor first. Afterwards begin again at the application.</p>")
}

// Authorize does what a person does in a browser at the given authorization
// address: choose themselves, allow. It returns the address to which the
// browser is sent back, and fails when the person comes no further.
func (s *Server) Authorize(ctx context.Context, address, username string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	client := s.browse(ctx, jar)
	method, form := http.MethodGet, url.Values{}
	for range 10 {
		request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
		if err != nil {
			return "", err
		}
		request.Header.Set("X-Forwarded-For", browserAddress)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := client.Do(request)
		if err != nil {
			return "", fmt.Errorf("asking the look-alike of PeeringDB: %w", err)
		}
		response.Body.Close()
		if to, err := response.Location(); err == nil {
			if !strings.HasPrefix(to.String(), s.url+"/") {
				return to.String(), nil
			}
			method, form, address = http.MethodGet, url.Values{}, to.String()
			continue
		}
		switch at := response.Request.URL; {
		case response.StatusCode == http.StatusOK && method == http.MethodGet && at.Path == "/account/login/":
			method, form = http.MethodPost, url.Values{"person": {username}, "next": {at.Query().Get("next")}}
		case response.StatusCode == http.StatusOK && method == http.MethodGet && at.Path == "/oauth2/authorize/":
			method, form = http.MethodPost, url.Values{"allow": {"Authorize"}}
		default:
			return "", fmt.Errorf("%s stays at %s: %s", username, at.Path, response.Status)
		}
	}
	return "", fmt.Errorf("%s is led in circles", username)
}

// browserAddress is that of a person's browser for the limits, so that it does
// not share those of the server that asks for tokens.
const browserAddress = "203.0.113.7"
