package openbao

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// KVField names one text in a KV secrets engine.
type KVField struct {
	// Path is the secret's with its mount in front, without the data/ that
	// version 2 puts between the two.
	Path  string
	Field string
}

// kvScheme begins a setting that names a KVField and is none itself.
const kvScheme = "bao:"

// IsKVField tells whether the text of a setting names a field.
func IsKVField(text string) bool { return strings.HasPrefix(text, kvScheme) }

var fieldShape = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// ParseKVField reads bao:MOUNT/PATH#FIELD.
func ParseKVField(text string) (KVField, error) {
	path, field, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), kvScheme), "#")
	f := KVField{strings.Trim(path, "/"), field}
	if !IsKVField(text) || !found || !fieldShape.MatchString(field) || !strings.Contains(f.Path, "/") || f.at().err != nil {
		return KVField{}, errors.New("is not of the form bao:MOUNT/PATH#FIELD, such as bao:secret/infra/portal/oidc#signing_key")
	}
	return f, nil
}

// String is the setting that names it.
func (f KVField) String() string { return kvScheme + f.Path + "#" + f.Field }

func (f KVField) at() path { return at("sys/internal/ui/mounts/{mount}", f.Path) }

// kvMount is the engine that holds a secret.
type kvMount struct {
	Path    string `json:"path"` // with a slash at its end
	Type    string `json:"type"`
	Options struct {
		Version string `json:"version"`
	} `json:"options"`
}

// read is where the secret is read: version 2 keeps it below data/.
func (m kvMount) read(f KVField) path {
	mount := strings.TrimSuffix(m.Path, "/")
	rest, below := strings.CutPrefix(f.Path, mount+"/")
	if !below || m.Type != "kv" && m.Type != "generic" {
		return path{err: fmt.Errorf("%s is in no KV engine", f.Path)}
	}
	if m.Options.Version == "2" {
		return at("{mount}/data/{mount}", mount, rest)
	}
	return at("{mount}/{mount}", mount, rest)
}

// ReadKV reads a field with a token. No error of it quotes what it found.
// identity.ErrUnavailable: OpenBao is away.
func (c *Client) ReadKV(ctx context.Context, token string, f KVField) (string, error) {
	var mount kvMount
	got, err := c.do(ctx, request{operation: "read_mount", method: "GET", path: f.at(), token: token})
	if err == nil {
		err = got.decode(&mount)
	}
	var where path
	if err == nil {
		where = mount.read(f)
		err = where.err
	}
	if err == nil {
		got, err = c.do(ctx, request{operation: "read_kv", method: "GET", path: where, token: token})
	}
	switch {
	case errors.Is(err, ErrForbidden):
		return "", fmt.Errorf("%s: the service credential may not read it, or there is no such mount: PEERAGE_SIGNING_KEY=%s peerage openbao bootstrap allows it: %w", f, f, err)
	case errors.Is(err, ErrNotFound):
		return "", fmt.Errorf("%s: there is no such secret: %w", f, err)
	case err != nil:
		return "", fmt.Errorf("%s: %w", f, err)
	}
	fields := map[string]any{}
	if mount.Options.Version == "2" {
		var version struct {
			Data map[string]any `json:"data"`
		}
		err = got.decode(&version)
		fields = version.Data
	} else {
		err = got.decode(&fields)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", f, err)
	}
	text, ok := fields[f.Field].(string)
	if !ok || text == "" {
		return "", fmt.Errorf("%s: the secret holds no text of that name: %w", f, ErrNotFound)
	}
	return text, nil
}

// ReadKV reads a field with the service credential.
func (c *Credential) ReadKV(ctx context.Context, f KVField) (string, error) {
	token, err := c.Token()
	if err != nil {
		return "", err
	}
	text, err := c.client.ReadKV(ctx, token, f)
	if errors.Is(err, ErrForbidden) {
		c.Doubt()
	}
	return text, err
}
