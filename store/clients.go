package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Sources of a client.
const (
	SourceSettings = "settings"
	SourceStore    = "store"
)

// Client is a registered OAuth client. Its JSON form is that of the settings,
// the commands and the pages; absent fields mean the documented defaults.
type Client struct {
	ClientID    string `json:"client_id"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	LogoURI     string `json:"logo_uri,omitempty"`
	LaunchURI   string `json:"launch_uri,omitempty"`

	// ClientSecretHash is an argon2id PHC string or "sha256:<hex>".
	ClientSecretHash string `json:"client_secret_hash,omitempty"`
	// OldSecretHash lives on until OldSecretUntil after a rotation.
	OldSecretHash  string    `json:"old_secret_hash,omitempty"`
	OldSecretUntil time.Time `json:"old_secret_until,omitzero"`

	// JWKS (a key set) or JWKSURI (its address) verify private_key_jwt.
	JWKS    json.RawMessage `json:"jwks,omitempty"`
	JWKSURI string          `json:"jwks_uri,omitempty"`

	// TokenEndpointAuthMethod empty: basic or post, whichever comes.
	TokenEndpointAuthMethod string `json:"token_endpoint_auth_method,omitempty"`
	ApplicationType         string `json:"application_type,omitempty"`

	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	// BackchannelLogoutURI is told when a session of its people ends.
	BackchannelLogoutURI string   `json:"backchannel_logout_uri,omitempty"`
	GrantTypes           []string `json:"grant_types,omitempty"`
	ResponseTypes        []string `json:"response_types,omitempty"`
	Scopes               []string `json:"scopes,omitempty"`
	RequirePKCE          *bool    `json:"require_pkce,omitempty"`
	// RequirePAR: only pushed authorization requests (RFC 9126).
	RequirePAR bool `json:"require_pushed_authorization_requests,omitempty"`

	IDTokenSignedResponseAlg string `json:"id_token_signed_response_alg,omitempty"`
	// UserInfoSignedResponseAlg: UserInfo answers with a JWT signed by it.
	UserInfoSignedResponseAlg string   `json:"userinfo_signed_response_alg,omitempty"`
	AccessTokenFormat         string   `json:"access_token_format,omitempty"`
	Audience                  []string `json:"audience,omitempty"`
	AccessTokenTTL            Duration `json:"access_token_ttl,omitzero"`
	IDTokenTTL                Duration `json:"id_token_ttl,omitzero"`
	RefreshTokenTTL           Duration `json:"refresh_token_ttl,omitzero"`

	Trusted       bool     `json:"trusted,omitempty"`
	RequireMFA    bool     `json:"require_mfa,omitempty"`
	Disabled      bool     `json:"disabled,omitempty"`
	AllowedGroups []string `json:"allowed_groups,omitempty"`
	Roles         []Role   `json:"roles,omitempty"`
	// Claims says where each claim goes: id_token, userinfo, both or none.
	Claims      map[string]string `json:"claims,omitempty"`
	GroupFilter string            `json:"group_filter,omitempty"`
	GroupPrefix string            `json:"group_prefix,omitempty"`

	// Source, Version and the times are the row's, not the document's.
	Source    string    `json:"-"`
	Version   int64     `json:"-"`
	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
}

// Role adds a role group to the groups claim of people in any of Groups.
type Role struct {
	Role   string   `json:"role"`
	Groups []string `json:"groups"`
}

// Duration is a time.Duration written as "15m" in JSON.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 15m", b)
	}
	*d = Duration(v)
	return nil
}

type clientRow struct {
	source, document     string
	version              int64
	createdAt, updatedAt time.Time
}

func clientFields(r *clientRow) []any {
	return []any{&r.source, &r.document, &r.version, stamp{&r.createdAt}, stamp{&r.updatedAt}}
}

const clientColumns = "source, document, version, created_at, updated_at"

func (r clientRow) client() (Client, error) {
	var c Client
	if err := json.Unmarshal([]byte(r.document), &c); err != nil {
		return Client{}, fmt.Errorf("reading a stored client: %w", err)
	}
	c.Source, c.Version, c.CreatedAt, c.UpdatedAt = r.source, r.version, r.createdAt, r.updatedAt
	return c, nil
}

// Clients lists the clients of one source ("" for all) by id.
func (s *Store) Clients(ctx context.Context, source string) ([]Client, error) {
	rows, err := many(s.read(ctx), clientFields, "SELECT "+clientColumns+" FROM clients WHERE $1 = '' OR source = $1 ORDER BY client_id, source", source)
	if err != nil {
		return nil, err
	}
	list := make([]Client, 0, len(rows))
	for _, row := range rows {
		c, err := row.client()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Client finds a client; one from the settings wins over a stored one.
func (s *Store) Client(ctx context.Context, id string) (Client, error) {
	row, err := one(s.read(ctx), clientFields, "SELECT "+clientColumns+" FROM clients WHERE client_id = $1 ORDER BY source LIMIT 1", id)
	if err != nil {
		return Client{}, err
	}
	return row.client()
}

// CreateClient stores a new client. ErrExists: the id is taken.
func (s *Store) CreateClient(ctx context.Context, c Client) error {
	document, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing a client: %w", err)
	}
	return s.tx(ctx, "create_client", func(q *Queries) error {
		err := q.must("INSERT INTO clients (client_id, source, document, version, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4)", c.ClientID, SourceStore, string(document), at(q.now))
		if err != nil {
			return err
		}
		return q.raise(TopicClients)
	})
}

// UpdateClient replaces a stored client. ErrConflict: it is no longer the
// version that the change was made from.
func (s *Store) UpdateClient(ctx context.Context, c Client) error {
	document, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing a client: %w", err)
	}
	return s.tx(ctx, "update_client", func(q *Queries) error {
		n, err := q.exec("UPDATE clients SET document = $4, version = version + 1, updated_at = $5 WHERE client_id = $1 AND source = $2 AND version = $3",
			c.ClientID, SourceStore, c.Version, string(document), at(q.now))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		return q.raise(TopicClients)
	})
}

// DeleteClient removes a stored client; its codes, tokens and consents die.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.tx(ctx, "delete_client", func(q *Queries) error {
		n, err := q.exec("DELETE FROM clients WHERE client_id = $1 AND source = $2", id, SourceStore)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		if err := q.forgetClient(id); err != nil {
			return err
		}
		return q.raise(TopicClients)
	})
}

// forgetClient kills all that a client holds, unless another source still
// registers the same id.
func (q *Queries) forgetClient(id string) error {
	if _, err := one(q, text, "SELECT client_id FROM clients WHERE client_id = $1", id); !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := q.noteConsentsOf("u.sub IN (SELECT c.sub FROM consents c WHERE c.client_id = $2)", id); err != nil {
		return err
	}
	for _, statement := range []string{
		"DELETE FROM requests WHERE client_id = $1",
		"DELETE FROM codes WHERE client_id = $1",
		"DELETE FROM device_codes WHERE client_id = $1",
		"DELETE FROM families WHERE client_id = $1",
		"DELETE FROM consents WHERE client_id = $1",
	} {
		if err := q.must(statement, id); err != nil {
			return err
		}
	}
	return nil
}

// SyncSystemClients records the clients of the settings for lists, without
// their secrets, and forgets those that earlier settings held: their tokens
// die. It returns the ids of the forgotten.
func (s *Store) SyncSystemClients(ctx context.Context, clients []Client) (forgotten []string, err error) {
	documents := make(map[string]string, len(clients))
	for _, c := range clients {
		c.ClientSecretHash, c.OldSecretHash = "", ""
		document, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("writing a client: %w", err)
		}
		documents[c.ClientID] = string(document)
	}
	err = s.tx(ctx, "sync_system_clients", func(q *Queries) error {
		forgotten = nil
		known, err := many(q, text, "SELECT client_id FROM clients WHERE source = $1 ORDER BY client_id", SourceSettings)
		if err != nil {
			return err
		}
		for _, id := range known {
			if _, stays := documents[id]; stays {
				continue
			}
			if err := q.must("DELETE FROM clients WHERE client_id = $1 AND source = $2", id, SourceSettings); err != nil {
				return err
			}
			if err := q.forgetClient(id); err != nil {
				return err
			}
			forgotten = append(forgotten, id)
		}
		for id, document := range documents {
			err := q.must(`INSERT INTO clients (client_id, source, document, version, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4)
				ON CONFLICT (client_id, source) DO UPDATE SET document = excluded.document, version = clients.version + 1, updated_at = excluded.updated_at
				WHERE clients.document <> excluded.document`, id, SourceSettings, document, at(q.now))
			if err != nil {
				return err
			}
		}
		return q.raise(TopicClients)
	})
	return forgotten, err
}
