package portal

import (
	"errors"
	"net/http"
	"path"
	"strings"

	"peerage/identity"
	"peerage/identity/openbao"
)

// Paths of what people get from OpenBao.
const (
	pathTokens     = "/identity/tokens"
	pathKubeconfig = "/kubeconfig"
	pathCerts      = "/certs"
)

// Offers are the pages that an installation has beyond those of every one.
type Offers struct{ Tokens, Kubeconfig, Certificates, PeeringDB bool }

// offers says what OpenBao and PeeringDB give to people here.
func (p *Portal) offers() Offers {
	if p.openbao == nil {
		return Offers{PeeringDB: p.directory.PeeringDBOffered()}
	}
	return Offers{Tokens: true, Kubeconfig: p.openbao.Kubernetes.On(), Certificates: p.openbao.PKI.On(), PeeringDB: p.directory.PeeringDBOffered()}
}

// offered lets nobody in where there is no such page.
func (p *Portal) offered(on bool, page http.Handler) http.Handler {
	if on {
		return page
	}
	return p.open(func(http.ResponseWriter, *http.Request) error { return errNotFound })
}

// ofOpenBao tells whether somebody is kept in OpenBao. Others see what the
// pages are for, and can do nothing there.
func ofOpenBao(v identity.Visitor) bool { return v.User.Origin == openbao.Origin }

// remote lets in whom OpenBao can give something.
func (p *Portal) remote(page visitorPage) visitorPage {
	return func(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
		if !ofOpenBao(v) {
			return errNotAllowed
		}
		return page(w, r, v)
	}
}

// renews tells whether a confirmation must bring the person's own token of
// OpenBao: what they go back to takes one, and their session has none. So it is
// after a passkey, a recovery code or a change of the password.
func (p *Portal) renews(v identity.Visitor, back string) bool {
	place, _, _ := strings.Cut(back, "?")
	return p.openbao != nil && ofOpenBao(v) && len(v.Session.BackendToken) == 0 && (place == pathKubeconfig || place == pathCerts)
}

// withoutToken sends to /login/confirm whose session has no token of OpenBao
// that lives. What they asked for was not done.
func (p *Portal) withoutToken(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	if len(v.Session.BackendToken) > 0 {
		if err := p.directory.ForgetToken(r.Context(), v); err != nil {
			return err
		}
	}
	return p.askFresh(w, r)
}

// Refusals of OpenBao that are for the person to know; what is missing is a
// fault of the server.
var baoRefusals = []struct {
	err    error
	status int
	fault  string
	says   Sentence
}{
	{openbao.ErrNotTheirs, http.StatusUnprocessableEntity, FaultNotFound, Say("bao.fault.not_theirs")},
	{openbao.ErrForbidden, http.StatusForbidden, FaultNotAllowed, Say("bao.fault.forbidden")},
	{openbao.ErrTooManyTokens, http.StatusUnprocessableEntity, FaultForm, Say("tokens.fault.many")},
	{openbao.ErrForeignAlias, http.StatusUnprocessableEntity, FaultForm, Say("tokens.fault.alias")},
	{identity.ErrNotGranted, http.StatusUnprocessableEntity, FaultForm, Say("tokens.fault.granted")},
	{openbao.ErrNamespace, http.StatusUnprocessableEntity, FaultForm, Say("kubeconfig.fault.namespace")},
	{openbao.ErrCSR, http.StatusUnprocessableEntity, FaultForm, Say("certs.fault.csr")},
	{openbao.ErrCSRName, http.StatusUnprocessableEntity, FaultForm, Say("certs.fault.name")},
	{openbao.ErrCSRKey, http.StatusUnprocessableEntity, FaultForm, Say("certs.fault.key")},
}

// baoFault puts what went wrong into a page's base, and says it in words; ok
// is false for errors that are no fault of the person's or of OpenBao's.
func (p *Portal) baoFault(r *http.Request, base *Base, err error) (status int, says Sentence, ok bool) {
	for _, refusal := range baoRefusals {
		if errors.Is(err, refusal.err) {
			base.Fault = refusal.fault
			return refusal.status, refusal.says, true
		}
	}
	fault, status, ok := formFault(err)
	base.Fault, base.RetryAfter = fault.Fault, fault.RetryAfter
	if ok && base.Fault == FaultBackendUnavailable {
		p.log.WarnContext(r.Context(), "OpenBao did not give what a person asked for", "path", path.Clean(r.URL.Path), "error", err)
	}
	return status, Sentence{}, ok
}
