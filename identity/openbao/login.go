package openbao

import (
	"context"
	"errors"
	"regexp"
	"time"

	"peerage/identity"
)

// Operations whose answers mean something of their own.
const (
	operationLogin = "login"
	operationCode  = "code"
)

// maxPassword is what bcrypt looks at: OpenBao takes a longer password for a
// right one when its first 72 bytes are.
const maxPassword = 72

// loggedIn is a person whose password was right: either with a token, or with
// a code outstanding.
type loggedIn struct {
	Token    string // "" while a code is outstanding
	Accessor string
	EntityID string // known with the token only
	Expires  time.Time

	// RequestID and MethodID name what is outstanding; OpenBao forgets it
	// after five minutes.
	RequestID string
	MethodID  string
}

type mfaRequirement struct {
	RequestID   string `json:"mfa_request_id"`
	Constraints map[string]struct {
		Any []struct {
			Type         string `json:"type"`
			ID           string `json:"id"`
			UsesPasscode bool   `json:"uses_passcode"`
		} `json:"any"`
	} `json:"mfa_constraints"`
}

// login checks a password. Wrong: identity.ErrWrongCredentials, which may be an
// ErrDenied. What cannot be a name or a password never reaches the server.
func (c *Client) login(ctx context.Context, mount, username, password string) (loggedIn, error) {
	username = identity.NormalizeUsername(username) // in a lease's path upper case would be somebody else
	if identity.CheckUsername(username) != nil || password == "" || len(password) > maxPassword {
		return loggedIn{}, &Error{Operation: operationLogin, Kind: identity.ErrWrongCredentials}
	}
	got, err := c.do(ctx, request{operation: operationLogin, method: "POST", path: at("auth/{mount}/login/{}", mount, username),
		body: map[string]string{"password": password}})
	if err != nil {
		return loggedIn{}, err
	}
	return c.person(operationLogin, got)
}

var codeShape = regexp.MustCompile(`^[0-9]{6,8}$`)

// code completes a login. identity.ErrWrongCode: the request stays good, and it
// may be an ErrNoSecret. identity.ErrNoSignIn: begin with the password again.
func (c *Client) code(ctx context.Context, in loggedIn, code string) (loggedIn, error) {
	if !codeShape.MatchString(code) {
		return loggedIn{}, &Error{Operation: operationCode, Kind: identity.ErrWrongCode}
	}
	got, err := c.do(ctx, request{operation: operationCode, method: "POST", path: at("sys/mfa/validate"),
		body: map[string]any{"mfa_request_id": in.RequestID, "mfa_payload": map[string][]string{in.MethodID: {code}}}})
	if err != nil {
		return loggedIn{}, err
	}
	return c.person(operationCode, got)
}

// person reads the answer to a right password or code. The presence of "auth"
// is no success: with a code outstanding it has no token.
func (c *Client) person(operation string, got answer) (loggedIn, error) {
	strange := func(reason string) error {
		return &Error{Operation: operation, Kind: identity.ErrUnavailable, Reason: reason}
	}
	switch {
	case got.Auth == nil:
		return loggedIn{}, strange("an answer without auth")
	case got.Auth.Token != "":
		in := loggedIn{Token: got.Auth.Token, Accessor: got.Auth.Accessor, EntityID: got.Auth.EntityID}
		if got.Auth.LeaseDuration > 0 {
			in.Expires = c.leader.clock().Add(time.Duration(got.Auth.LeaseDuration) * time.Second)
		}
		return in, nil
	case got.Auth.MFA == nil || operation == operationCode:
		return loggedIn{}, strange("an answer without token")
	case len(got.Auth.MFA.Constraints) != 1:
		// The first enforcement uses the code up and the second refuses it.
		return loggedIn{}, strange("more than one login enforcement matches this person")
	}
	for _, constraint := range got.Auth.MFA.Constraints {
		for _, method := range constraint.Any {
			if method.Type == "totp" && method.UsesPasscode {
				return loggedIn{RequestID: got.Auth.MFA.RequestID, MethodID: method.ID}, nil
			}
		}
	}
	return loggedIn{}, strange("a login enforcement asks for another factor than TOTP")
}

// tokenState is what a token says of itself.
type tokenState struct {
	Accessor  string   `json:"accessor"`
	TTL       int64    `json:"ttl"` // seconds, 0 for a token that never ends
	Policies  []string `json:"policies"`
	EntityID  string   `json:"entity_id"`
	Renewable bool     `json:"renewable"`
	// Uses is how often it can still be used; 0 without limit, less than 0 when
	// it has ended and only waits to be cleared away.
	Uses int `json:"num_uses"`
}

// lookUp asks a token about itself. ErrForbidden: it is dead. After any other
// ErrForbidden this tells a dead token from one that may not do a thing.
func (c *Client) lookUp(ctx context.Context, token string) (tokenState, error) {
	var state tokenState
	got, err := c.do(ctx, request{operation: "look_up_token", method: "GET", path: at("auth/token/lookup-self"), token: token})
	if err == nil {
		err = got.decode(&state)
	}
	return state, err
}

// revoke ends a token, and the leases that were made with it. A token that is
// dead already is no fault.
func (c *Client) revoke(ctx context.Context, token string) error {
	_, err := c.do(ctx, request{operation: "revoke_token", method: "POST", path: at("auth/token/revoke-self"), token: token})
	if errors.Is(err, ErrForbidden) {
		return nil
	}
	return err
}
