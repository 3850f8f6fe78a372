package idp

import (
	"context"
	"errors"
	"log/slog"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
	"peerage/store"
)

// Revocation implements token revocation (RFC 7009). A token that is unknown
// or another client's is no error: there is nothing that the caller could do
// (section 2.2). The hint does not matter, for both kinds are looked up.
func (s *server) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	client := r.Client.(*Client)
	family, err := s.p.store.RevokeToken(ctx, identity.Hash(r.Form.Get("token")), client.ClientID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, s.p.tokenError(ctx, err)
	}
	if err == nil {
		s.p.directory.Audit.Event(ctx, identity.Event{Name: "token_revoke", Sub: family.Sub, Client: client.ClientID, Result: "success",
			Detail: []slog.Attr{slog.String("by", "client")}})
	}
	return op.NewResponse(struct{}{}), nil
}
