package idp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"peerage/store"
)

// RotateSecret gives a client a new secret, which it returns in clear. The
// old one lives on for keepOld; with 0 it dies at once. One that still lives
// from an earlier rotation dies in any case.
func RotateSecret(c *store.Client, keepOld time.Duration, now time.Time) (secret string) {
	c.OldSecretHash, c.OldSecretUntil = "", time.Time{}
	if keepOld > 0 {
		c.OldSecretHash, c.OldSecretUntil = c.ClientSecretHash, now.UTC().Add(keepOld)
	}
	secret, c.ClientSecretHash = NewClientSecret()
	return secret
}

// SetAuthMethod changes how a client authenticates. What the new way does not
// use goes; a secret that it needs and lacks is made and returned in clear.
func SetAuthMethod(c *store.Client, method string) (secret string) {
	c.TokenEndpointAuthMethod = method
	if method != methodPrivateKeyJWT {
		c.JWKS, c.JWKSURI = nil, ""
	}
	if !NeedsSecret(method) {
		c.ClientSecretHash, c.OldSecretHash, c.OldSecretUntil = "", "", time.Time{}
	} else if c.ClientSecretHash == "" {
		secret, c.ClientSecretHash = NewClientSecret()
	}
	return secret
}

// NeedsSecret tells whether a token_endpoint_auth_method uses a secret.
func NeedsSecret(method string) bool { return method != "none" && method != methodPrivateKeyJWT }

// WithoutSecrets is a client without the hashes of its secrets, to be shown.
func WithoutSecrets(c store.Client) store.Client {
	c.ClientSecretHash, c.OldSecretHash, c.OldSecretUntil = "", "", time.Time{}
	return c
}

// ChangedFields names the fields in which two forms of a client differ, for
// the audit trail.
func ChangedFields(old, client store.Client) ([]string, error) {
	var fields [2]map[string]json.RawMessage
	for i, c := range []store.Client{old, client} {
		document, err := json.Marshal(c)
		if err == nil {
			err = json.Unmarshal(document, &fields[i])
		}
		if err != nil {
			return nil, fmt.Errorf("comparing client %q: %w", c.ClientID, err)
		}
	}
	names := maps.Clone(fields[0])
	maps.Copy(names, fields[1])
	return slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(name string) bool {
		return bytes.Equal(fields[0][name], fields[1][name])
	}), nil
}
