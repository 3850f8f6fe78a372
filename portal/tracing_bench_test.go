package portal_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// What a UserInfo request and the store's read within it cost without tracing:
// go test ./portal -run '^$' -bench . -benchmem

func BenchmarkUserInfo(b *testing.B) {
	w, token := benchmarkToken(b)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, w.Issuer+"/oauth2/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		answer := httptest.NewRecorder()
		w.Portal.ServeHTTP(answer, r)
		if answer.Code != http.StatusOK {
			b.Fatalf("UserInfo: %d %s", answer.Code, answer.Body)
		}
	}
}

func BenchmarkStoreRead(b *testing.B) {
	w, token := benchmarkToken(b)
	hash := identity.Hash(token)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Store.AccessToken(b.Context(), hash); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkToken signs ada in to Grafana.
func benchmarkToken(b *testing.B) (*portaltest.Site, string) {
	b.Helper()
	w := portaltest.New(b, portaltest.Options{Clients: "[" + grafana + "]"})
	w.AddUser("ada")
	browser := w.Browser()
	page := browser.Get(portaltest.Authorize("grafana", callback, "scope", "openid email"))
	page = browser.Submit(page, "username", "ada", "password", portaltest.Password)
	page = browser.Submit(page, "decision", "allow")
	token := w.Redeem("grafana", "grafana-secret", page.Query(b).Get("code"), callback).Str("access_token")
	if token == "" {
		b.Fatalf("no token: %s", page.Body)
	}
	return w, token
}
