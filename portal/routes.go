package portal

import "net/http"

// routes are the tables of who may come where. A page that wants a visitor
// has another type than one that does not, so it cannot be routed without a
// guard: that does not compile.
func (p *Portal) routes() *http.ServeMux {
	pages := http.NewServeMux()
	for _, table := range []map[string]http.Handler{p.doorRoutes(), p.accountRoutes(), p.openbaoRoutes(), p.adminRoutes()} {
		for pattern, h := range table {
			pages.Handle(pattern, h)
		}
	}
	p.pages = pages
	mux := http.NewServeMux()
	mux.Handle("/oauth2/", p.provider)
	mux.Handle("/.well-known/", p.provider)
	mux.Handle("GET /.well-known/change-password", p.open(p.changePassword))
	mux.Handle("GET /static/", p.render.Static())
	// The protocol's callers are other sites and programs; our forms are not.
	mux.Handle("/", p.sameOrigin(p.limited(pages)))
	return mux
}

// doorRoutes lead in and out, and are open to everybody.
func (p *Portal) doorRoutes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /login":           p.open(p.signInPage),
		"POST /login":          p.open(p.signIn),
		"GET /login/totp":      p.open(p.codePage),
		"POST /login/totp":     p.open(p.code),
		"GET /login/recovery":  p.open(p.recoveryCodePage),
		"POST /login/recovery": p.open(p.recoveryCode),
		"GET /login/passkey":   p.open(p.passkeyPage),
		"POST /login/passkey":  p.open(p.passkey),
		"GET /login/enrol":     p.open(p.enrolPage),
		"POST /login/enrol":    p.open(p.enrol),
		"GET /login/confirm":   p.known(p.confirmPage),
		"POST /login/confirm":  p.known(p.confirm),

		"GET /login/peeringdb":          p.open(p.toPeeringDBPage),
		"POST /login/peeringdb":         p.open(p.toPeeringDB),
		"GET /login/peeringdb/callback": p.open(p.fromPeeringDB),

		"GET /consent":  p.open(p.consentPage),
		"POST /consent": p.open(p.consent),
		"GET /device":   p.user(p.devicePage),
		"POST /device":  p.user(p.device),
		"GET /logout":   p.open(p.signOutPage),
		"POST /logout":  p.open(p.signOut),

		"GET /recover":               p.open(p.recoveryPage),
		"POST /recover":              p.open(p.recovery),
		"GET /recover/{token}":       p.open(p.recoverPage),
		"POST /recover/{token}":      p.open(p.recover),
		"GET /invite/{token}":        p.open(p.invitationPage),
		"POST /invite/{token}":       p.open(p.invitation),
		"GET /verify-email/{token}":  p.open(p.verifyEmailPage),
		"POST /verify-email/{token}": p.open(p.verifyEmail),

		"GET /metrics": p.open(p.publicMetrics),
		"/":            p.open(p.unknown),
	}
}

// accountRoutes are the places of a person who is signed in.
func (p *Portal) accountRoutes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /{$}":       p.user(p.home),
		"GET /identity":  p.user(p.profile),
		"POST /identity": p.user(p.askVerification),

		"GET /identity/password":  p.user(p.passwordPage),
		"POST /identity/password": p.user(p.password),
		"GET /identity/consents":  p.user(p.consentsPage),
		"POST /identity/consents": p.user(p.revokeConsent),
		"GET /identity/sessions":  p.user(p.sessionsPage),
		"POST /identity/sessions": p.user(p.endSession),
		"GET /identity/activity":  p.user(p.activity),

		"GET /identity/peeringdb":  p.user(p.peeringDBPage),
		"POST /identity/peeringdb": p.user(p.peeringDB),

		"GET /identity/totp":  p.user(p.totpPage),
		"POST /identity/totp": p.fresh(p.totp),

		"GET /identity/recovery-codes":       p.user(p.recoveryCodesPage),
		"POST /identity/recovery-codes":      p.fresh(p.recoveryCodes),
		"POST /identity/recovery-codes/file": p.user(p.recoveryFile),
		"GET /identity/passkeys":             p.user(p.passkeysPage),
		"POST /identity/passkeys":            p.fresh(p.passkeys),
	}
}

// openbaoRoutes are where people get something from OpenBao; there are none
// without it.
func (p *Portal) openbaoRoutes() map[string]http.Handler {
	has := p.offers()
	return map[string]http.Handler{
		"GET /identity/tokens":  p.offered(has.Tokens, p.user(p.tokensPage)),
		"POST /identity/tokens": p.offered(has.Tokens, p.fresh(p.remote(p.tokens))),
		"GET /kubeconfig":       p.offered(has.Kubeconfig, p.user(p.kubeconfigPage)),
		"GET /certs":            p.offered(has.Certificates, p.user(p.certsPage)),
		"POST /certs":           p.offered(has.Certificates, p.fresh(p.remote(p.certs))),
		"POST /certs/file":      p.offered(has.Certificates, p.user(p.certFile)),
		"GET /certs/crl":        p.offered(has.Certificates, p.open(p.crl)),
	}
}

// adminRoutes are for administrators: reading behind the guard admin, every
// change behind the guard change.
func (p *Portal) adminRoutes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /admin":               p.admin(p.adminPage),
		"GET /admin/users":         p.admin(p.users),
		"POST /admin/users":        p.change(p.newUser),
		"GET /admin/users/new":     p.admin(p.newUserPage),
		"GET /admin/users/import":  p.admin(p.importPage),
		"POST /admin/users/import": p.change(p.importPeople),
		"GET /admin/users/{sub}":   p.admin(p.userPage),
		"POST /admin/users/{sub}":  p.change(p.changeUser),
		"GET /admin/groups":        p.admin(p.groupsPage),
		"POST /admin/groups":       p.change(p.changeGroup),
		"GET /admin/clients":       p.admin(p.clientsPage),
		"POST /admin/clients":      p.change(p.createClient),
		"GET /admin/clients/{id}":  p.admin(p.clientPage),
		"POST /admin/clients/{id}": p.change(p.changeClient),
		"GET /admin/keys":          p.admin(p.keysPage),
		"POST /admin/keys":         p.change(p.changeKeys),
		"GET /admin/events":        p.admin(p.eventsPage),
		"GET /admin/peeringdb":     p.admin(p.adminPeeringDBPage),
		"POST /admin/peeringdb":    p.change(p.changePeeringDB),
	}
}
