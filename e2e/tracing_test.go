package e2e

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

const receiverKey = "key-of-the-receiver"

// TestTraces drives a sign-in with a client, and its end, and looks at what an
// OTLP receiver was sent: by HTTP and by gRPC.
func TestTraces(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			r := newReceiver(t)
			endpoint := "OTEL_EXPORTER_OTLP_ENDPOINT=" + r.HTTP
			if protocol == "grpc" {
				endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=" + r.GRPC
			}
			story := &traceStory{receiver: r, server: newServer(t, endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol, "OTEL_EXPORTER_OTLP_INSECURE=true",
				"OTEL_EXPORTER_OTLP_HEADERS=x-receiver-key="+receiverKey, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_BSP_SCHEDULE_DELAY=100",
				"OTEL_RESOURCE_ATTRIBUTES=deployment.environment=test,service.name=overruled", "OTEL_SERVICE_NAME=sign-in")}
			story.happen(t)
			story.checkSpans(t)
			story.checkJobs(t)
			story.checkIDs(t)
			story.checkSecrets(t)
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.faults) > 0 || slices.ContainsFunc(r.keys, func(key string) bool { return key != receiverKey }) {
				t.Errorf("faults %q, keys %q", r.faults, r.keys)
			}
			if r.resource["service.name"] != "sign-in" || r.resource["deployment.environment"] != "test" || r.resource["service.version"] == "" {
				t.Errorf("the sender is %v", r.resource)
			}
		})
	}
}

// traceStory is one run with all that came of it.
type traceStory struct {
	*receiver
	server  *server
	secrets map[string]string
	page    *webPage // of a fault
	events  []map[string]any
	log     string
}

// happen lets ada, who needs two factors, sign in to Grafana and be signed out.
func (s *traceStory) happen(t *testing.T) {
	t.Helper()
	app := &loggedOut{}
	listener := httptest.NewServer(app)
	defer listener.Close()
	const appKey = "key-in-the-address-of-the-application"
	s.server.start(t)
	s.server.addUser(t, "ada", "admins")
	secret := s.server.addClient(t, "grafana", "--name", "Grafana", "--redirect-uri", clientCallback)
	s.server.run(t, "", "client", "edit", "grafana", "--backchannel-logout-uri", listener.URL+"/logout?key="+appKey)
	ada := s.server.newPerson(t, "ada")
	rp := s.server.newRelyingParty(t, "grafana", secret, "RS256")
	token, code, verifier, _ := rp.signIn(t, ada)
	rp.userInfo(t, token)
	second, err := rp.refresh(t.Context(), token)
	if err != nil {
		t.Fatalf("refreshing: %v", err)
	}
	if s.page, err = ada.get(t.Context(), s.server.Issuer+"/oauth2/authorize?client_id=nobody"); err != nil {
		t.Fatalf("asking for a fault: %v", err)
	}
	const link = "a-one-time-link-that-is-not-good-any-more"
	if _, err := ada.get(t.Context(), s.server.Issuer+"/recover/"+link); err != nil {
		t.Fatalf("following a link: %v", err)
	}
	idToken, _ := token.Extra("id_token").(string)
	s.secrets = map[string]string{"password": password, "TOTP secret": ada.secret, "client secret": secret, "code": code, "verifier": verifier,
		"access token": token.AccessToken, "refresh token": token.RefreshToken, "ID token": idToken, "new refresh token": second.RefreshToken,
		"one-time link": link, "key of the receiver": receiverKey, "key of the application": appKey, "TOTP code": ada.code}
	issuer, err := url.Parse(s.server.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range ada.browser.Jar.Cookies(issuer) {
		s.secrets["cookie "+cookie.Name] = cookie.Value
	}
	s.server.run(t, "", "user", "sign-out", "ada")
	s.secrets["logout token"] = app.await(t)
	if app.header("Traceparent") != "" || app.header("Baggage") != "" {
		t.Errorf("the application was told of our trace: %q", app.header("Traceparent"))
	}
	if code := s.server.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.server.runJSON(t, &s.events, "event", "list", "--limit", "100", "--json")
	s.log = s.server.log.tail(1 << 20)
}

// checkSpans looks at the requests and at what happened within them.
func (s *traceStory) checkSpans(t *testing.T) {
	t.Helper()
	for name, within := range map[string][]string{
		"GET /oauth2/authorize":                 {"store create_request"},
		"POST /login":                           {"local login", "store"},
		"POST /login/enrol":                     {"store activate_totp"},
		"POST /oauth2/token":                    {"store redeem_code", "store rotate_refresh"},
		"GET /oauth2/userinfo":                  nil,
		"GET /recover/{token}":                  nil,
		"GET /.well-known/jwks.json":            nil,
		"GET /.well-known/openid-configuration": nil,
	} {
		spans := s.named(name)
		if len(spans) == 0 {
			t.Errorf("there is no span %s", name)
			continue
		}
		var found []string
		for _, span := range spans {
			method, route, _ := strings.Cut(name, " ")
			if span.Kind != trace.Span_SPAN_KIND_SERVER || len(span.ParentSpanId) != 0 || span.attributes["http.request.method"] != method ||
				span.attributes["http.route"] != route || span.attributes["http.response.status_code"] == "" || span.attributes["peerage.request_id"] == "" {
				t.Errorf("%s: %s, parent %x, %v", name, span.Kind, span.ParentSpanId, span.attributes)
			}
			found = append(found, s.within(span)...)
		}
		for _, want := range within {
			if !slices.ContainsFunc(found, func(name string) bool { return name == want || strings.HasPrefix(name, want+" ") }) {
				t.Errorf("%s: there is no span %s within, but %q", name, want, found)
			}
		}
	}
	for _, span := range s.named("store redeem_code") {
		if diff := cmp.Diff(map[string]string{"db.system.name": engine(t).Name, "db.operation.name": "redeem_code"}, span.attributes); diff != "" {
			t.Errorf("the attributes of a transaction (-want +got):\n%s", diff)
		}
	}
	// A span is a root, or its parent was sent too.
	known := map[string]bool{}
	for _, span := range s.spans {
		known[span.traceID()+span.spanID()] = true
	}
	for _, span := range s.spans {
		if len(span.ParentSpanId) > 0 && !known[span.traceID()+(receivedSpan{Span: &trace.Span{SpanId: span.ParentSpanId}}).spanID()] {
			t.Errorf("%s has a parent that nobody knows", span.Name)
		}
	}
}

// checkJobs looks at the sign-out that the server told the application of.
func (s *traceStory) checkJobs(t *testing.T) {
	t.Helper()
	jobs := s.named("telling clients of sign-outs")
	calls := s.named("POST backchannel_logout_uri")
	if len(jobs) == 0 || len(calls) != 1 {
		t.Fatalf("%d jobs, %d calls:\n%s", len(jobs), len(calls), s.all())
	}
	call := calls[0]
	if !slices.ContainsFunc(jobs, func(job receivedSpan) bool { return bytes.Equal(job.SpanId, call.ParentSpanId) }) {
		t.Error("the call is not within the job")
	}
	want := map[string]string{"http.request.method": "POST", "server.address": "127.0.0.1", "http.response.status_code": "200"}
	if diff := cmp.Diff(want, call.attributes); diff != "" || call.Kind != trace.Span_SPAN_KIND_CLIENT {
		t.Errorf("the call is %s, attributes (-want +got):\n%s", call.Kind, diff)
	}
	for _, job := range jobs {
		if len(job.ParentSpanId) != 0 {
			t.Error("the job is not the root of its trace")
		}
	}
}

var loggedRequest = regexp.MustCompile(`msg=request (?:.* )?method=(\S+) route=(\S+) .*trace_id=([0-9a-f]{32}) span_id=([0-9a-f]{16})`)

// checkIDs compares the ids in log lines, audit rows and on the page of a
// fault with those that were received.
func (s *traceStory) checkIDs(t *testing.T) {
	t.Helper()
	lines := loggedRequest.FindAllStringSubmatch(s.log, -1)
	if n := strings.Count(s.log, "msg=request "); n == 0 || n != len(lines) {
		t.Fatalf("%d of %d lines of requests have ids", len(lines), n)
	}
	for _, line := range lines {
		name := line[1] + " " + line[2]
		if line[2] == "none" {
			name = line[1]
		}
		if !slices.ContainsFunc(s.named(name), func(span receivedSpan) bool { return span.traceID() == line[3] && span.spanID() == line[4] }) {
			t.Errorf("no span %s has the ids of its line: %s", name, line[0])
		}
	}
	for _, name := range []string{"login_success", "oidc_token", "oidc_userinfo", "backchannel_logout"} {
		i := slices.IndexFunc(s.events, func(e map[string]any) bool { return e["event"] == name })
		if i < 0 {
			t.Errorf("no event %s", name)
			continue
		}
		traceID, _ := s.events[i]["trace_id"].(string)
		spanID, _ := s.events[i]["span_id"].(string)
		if !slices.ContainsFunc(s.spans, func(span receivedSpan) bool { return span.traceID() == traceID && span.spanID() == spanID }) {
			t.Errorf("no span has the ids of the event %s: %q %q", name, traceID, spanID)
		}
		if !strings.Contains(s.log, "trace_id="+traceID) {
			t.Errorf("no line has the trace of the event %s", name)
		}
	}
	if s.page.fault != "invalid_client" || !slices.ContainsFunc(s.named("GET /oauth2/authorize"), func(span receivedSpan) bool { return strings.Contains(s.page.body, span.traceID()) }) {
		t.Errorf("the page of the fault %s names no trace that was sent:\n%s", s.page.fault, s.page.body)
	}
}

// checkSecrets searches everything that left for what must not leave.
func (s *traceStory) checkSecrets(t *testing.T) {
	t.Helper()
	all := s.all()
	for what, secret := range s.secrets {
		if len(secret) < 6 {
			t.Errorf("the %s is %q, which cannot be searched for", what, secret)
		} else if strings.Contains(all, secret) || strings.Contains(all, url.QueryEscape(secret)) {
			t.Errorf("the %s is in the traces", what)
		}
	}
	if strings.Contains(all, "ada") && regexp.MustCompile(`\bada\b`).MatchString(all) {
		t.Error("a user name is in the traces")
	}
}

// loggedOut is an application that is told of sign-outs.
type loggedOut struct {
	mu      sync.Mutex
	token   string
	headers http.Header
}

// ServeHTTP implements http.Handler.
func (a *loggedOut) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token, a.headers = r.FormValue("logout_token"), r.Header.Clone()
}

func (a *loggedOut) header(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.headers.Get(name)
}

// await returns the logout token when it has come.
func (a *loggedOut) await(t *testing.T) string {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		a.mu.Lock()
		token := a.token
		a.mu.Unlock()
		if token != "" {
			return token
		}
		select {
		case <-deadline:
			t.Fatal("the application is not told of the sign-out")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestUnreachableReceiver: the server starts, signs people in and stops as if
// nothing was set, and its log says so once.
func TestUnreachableReceiver(t *testing.T) {
	s := newServer(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+freeAddress(t), "OTEL_EXPORTER_OTLP_TIMEOUT=200", "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_BSP_EXPORT_TIMEOUT=200")
	s.start(t)
	s.addUser(t, "grace")
	secret := s.addClient(t, "grafana", "--redirect-uri", clientCallback)
	grace := s.newPerson(t, "grace")
	rp := s.newRelyingParty(t, "grafana", secret, "RS256")
	rp.signIn(t, grace)
	deadline := time.After(20 * time.Second)
	for !strings.Contains(s.log.tail(1<<20), "sending traces fails") {
		select {
		case <-deadline:
			t.Fatal("the log does not say that sending fails")
		case <-time.After(10 * time.Millisecond):
		}
	}
	rp.signIn(t, grace)
	begun := time.Now()
	if code := s.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if taken := time.Since(begun); taken > 10*time.Second {
		t.Errorf("stopping takes %s", taken)
	}
	if n := strings.Count(s.log.tail(1<<20), "sending traces fails"); n != 1 {
		t.Errorf("the log says %d times within a minute that sending fails", n)
	}
}

// TestCheckOTLP: the check tries the receiver, and a wrong address stops the
// start by the name of its variable.
func TestCheckOTLP(t *testing.T) {
	r := newReceiver(t)
	s := newServer(t)
	s.start(t)
	for _, c := range []struct {
		endpoint, protocol string
		code               int
		want               string
	}{
		{r.HTTP, "http/protobuf", 0, "ok"},
		{r.GRPC, "grpc", 0, "ok"},
		{"http://" + freeAddress(t), "http/protobuf", 1, "failed"},
		{"http://" + freeAddress(t), "grpc", 1, "failed"},
	} {
		code, out, _ := s.exit(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=" + c.protocol, "OTEL_EXPORTER_OTLP_INSECURE=true"}, "check")
		if line := regexp.MustCompile(`(?m)^otlp +(\w+) .*`).FindStringSubmatch(out); code != c.code || line == nil || line[1] != c.want {
			t.Errorf("%s by %s: exit code %d\n%s", c.endpoint, c.protocol, code, out)
		}
	}
	code, _, told := s.exit(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=collector"}, "serve")
	if code != 2 || !strings.Contains(told, "peerage: OTEL_EXPORTER_OTLP_ENDPOINT: is not a URL such as http://127.0.0.1:4318\n") {
		t.Errorf("serve with a wrong endpoint: exit code %d\n%s", code, told)
	}
}
