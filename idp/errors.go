package idp

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
)

// Fault is an OAuth error of the front channel: a code of RFC 6749 section
// 4.1.2.1 or OIDC Core section 3.1.2.6, and words for the client's developer.
type Fault struct {
	Code        string
	Description string
}

func (f *Fault) Error() string { return f.Code + ": " + f.Description }

func faultf(code, format string, args ...any) *Fault {
	return &Fault{code, fmt.Sprintf(format, args...)}
}

// tokenError turns any error of a grant into one that the library writes out.
// It would send the text of a plain error to the client; so ours never leave
// unmapped, and what is internal is logged and not told.
func (p *Provider) tokenError(ctx context.Context, err error) error {
	var ours *oidc.Error
	var status op.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		return err
	case errors.As(err, &ours):
		return err
	case errors.Is(err, identity.ErrUnavailable):
		return op.NewStatusError(&oidc.Error{ErrorType: "temporarily_unavailable", Description: "the identity backend does not answer, try again later"}, http.StatusServiceUnavailable)
	case ctx.Err() != nil:
		return op.NewStatusError(&oidc.Error{ErrorType: "temporarily_unavailable", Description: "the request was given up"}, http.StatusServiceUnavailable)
	}
	p.log.ErrorContext(ctx, "a grant stopped", "error", err)
	return op.NewStatusError(&oidc.Error{ErrorType: oidc.ServerError, Description: "something broke here, give the operator the request id " + identity.CallerFrom(ctx).RequestID}, http.StatusInternalServerError)
}

func invalidGrant(description string) error {
	return &oidc.Error{ErrorType: oidc.InvalidGrant, Description: description}
}

// errInvalidClient is one answer for unknown clients and wrong secrets.
func errInvalidClient() error {
	return op.NewStatusError(&oidc.Error{ErrorType: oidc.InvalidClient, Description: "client authentication failed"}, http.StatusUnauthorized)
}
