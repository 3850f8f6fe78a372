package idp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
	"peerage/store"
)

// ClientCredentialsExchange implements the client credentials grant (RFC 6749
// section 4.4): a client acts for itself. There is no person, so no ID token,
// no refresh token and nothing at UserInfo.
func (s *server) ClientCredentialsExchange(ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	client := r.Client.(*Client)
	response, err := s.p.clientCredentials(ctx, client, r.Form.Get("scope"))
	s.p.tellToken(ctx, client, identity.User{}, grantClientCredentials, err)
	if err != nil {
		return nil, s.p.tokenError(ctx, err)
	}
	return op.NewResponse(response), nil
}

func (p *Provider) clientCredentials(ctx context.Context, client *Client, asked string) (any, error) {
	scopes, err := clientScopes(client, asked)
	if err != nil {
		return nil, err
	}
	document, err := json.Marshal(grant{Scopes: scopes})
	if err != nil {
		return nil, fmt.Errorf("writing a grant: %w", err)
	}
	access, issue, err := p.access(client, client.ClientID, grant{}, scopes)
	if err != nil {
		return nil, err
	}
	err = p.store.IssueClientToken(ctx, store.Family{ID: uuid.NewString(), ClientID: client.ClientID, Grant: string(document), ExpiresAt: issue.AccessExpires}, issue)
	if err != nil {
		return nil, err
	}
	return oidc.AccessTokenResponse{AccessToken: access, TokenType: oidc.BearerToken, ExpiresIn: uint64(p.accessTTL(client) / time.Second), Scope: scopes}, nil
}

// clientScopes are those asked for, of which none makes sense only with a person.
func clientScopes(client *Client, asked string) ([]string, error) {
	var scopes []string
	for _, s := range strings.Fields(asked) {
		if !slices.Contains(client.scopes(), s) || s == oidc.ScopeOpenID || s == oidc.ScopeOfflineAccess {
			return nil, &oidc.Error{ErrorType: oidc.InvalidScope, Description: "scope " + printable(s) + " cannot be had without a person, or not by this client"}
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}
