package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
	"peerage/identity/openbao"
)

var tokenStates = map[openbao.TokenState]Sentence{
	openbao.TokenLive: Say("tokens.state.live"), openbao.TokenWrapped: Say("tokens.state.wrapped"),
	openbao.TokenEnded: Say("tokens.state.ended"), openbao.TokenUnknown: Say("tokens.state.unknown"),
}

// tokensPage lists a person's API tokens.
func (p *Portal) tokensPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	return p.showTokens(w, r, v, &TokensPage{Done: r.FormValue("done")}, nil)
}

// showTokens shows the page with the list, and with what went wrong.
func (p *Portal) showTokens(w http.ResponseWriter, r *http.Request, v identity.Visitor, page *TokensPage, fault error) error {
	page.Base, page.Elsewhere = p.base(r, &v), !ofOpenBao(v)
	if page.Elsewhere {
		return p.render.Render(w, http.StatusOK, page)
	}
	tokens, err := p.openbao.APITokens(r.Context(), v.User)
	for _, token := range tokens {
		page.Tokens = append(page.Tokens, TokenItem{Accessor: token.Accessor, State: tokenStates[token.State], Good: token.State == openbao.TokenLive,
			Waits: token.State == openbao.TokenWrapped, Ended: token.State == openbao.TokenEnded, Made: token.CreatedAt, Expires: token.ExpiresAt, UnwrapBefore: token.UnwrapBefore})
	}
	status := http.StatusOK
	if err = errors.Join(fault, err); err != nil {
		var ok bool
		if status, page.Wrong, ok = p.baoFault(r, &page.Base, err); !ok {
			return err
		}
	}
	return p.render.Render(w, status, page)
}

// tokens makes an API token and shows it, this once, or ends one.
func (p *Portal) tokens(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	switch r.PostForm.Get("action") {
	case "create":
		made, err := p.openbao.CreateAPIToken(r.Context(), v.User)
		if err != nil {
			return p.showTokens(w, r, v, &TokensPage{}, err)
		}
		return p.showTokens(w, r, v, &TokensPage{Wrapping: made.Token, UnwrapBefore: made.UnwrapBefore, Expires: made.Expires, Namespace: p.openbao.Namespace()}, nil)
	case "revoke":
		if err := p.openbao.RevokeAPIToken(r.Context(), v.User, r.PostForm.Get("accessor")); err != nil {
			return p.showTokens(w, r, v, &TokensPage{}, err)
		}
		return see(w, pathTokens+"?done="+DoneTokenRevoked)
	}
	return errBadAction
}
