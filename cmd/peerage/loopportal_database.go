package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"peerage/store"
)

// maxPortalClients bounds the table.
const maxPortalClients = 2000

// portalColumns says what the columns of a table of clients mean, by the names
// that such tables have.
var portalColumns = map[string]string{
	"client_id": "client_id", "name": "name", "client_name": "name", "description": "description",
	"client_secret": "secret", "secret": "secret", "client_secret_hash": "secret", "secret_hash": "secret", "hashed_secret": "secret",
	"redirect_uris": "redirect_uris", "post_logout_redirect_uris": "post_logout_redirect_uris",
	"token_endpoint_auth_method": "token_endpoint_auth_method", "auth_method": "token_endpoint_auth_method",
	"is_public": "public", "public": "public", "is_active": "active", "active": "active", "enabled": "active", "disabled": "disabled",
	"scopes": "scopes", "allowed_scopes": "scopes", "grant_types": "grant_types",
}

// bookkeeping are columns about the row: who made it, and when.
var bookkeeping = regexp.MustCompile(`^(id|uuid|pk|owner.*|created.*|updated.*|modified.*|last_used.*|.*_at|.*_by(_id)?)$`)

// databaseClients reads the clients that people made.
func (c importLoopPortalCommand) databaseClients(ctx context.Context) ([]portalClient, error) {
	db, err := store.OpenForeign(ctx, c.PortalDatabase)
	if err != nil {
		return nil, fmt.Errorf("reading Loop Portal's database: %w", err)
	}
	defer db.Close()
	tables, err := db.Tables(ctx)
	if err != nil {
		return nil, err
	}
	table, err := clientTable(tables)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.PortalDatabase, err)
	}
	rows, err := db.Rows(ctx, table, maxPortalClients+1)
	if err != nil {
		return nil, err
	}
	if len(rows) > maxPortalClients {
		return nil, fmt.Errorf("%s: the table %s has more than %d clients", c.PortalDatabase, table, maxPortalClients)
	}
	if strange := c.strangeColumns(tables[table], rows); len(strange) > 0 {
		return nil, fmt.Errorf("%s: the columns %s of the table %s are not known and may say who may do what; --leave-column leaves one out", c.PortalDatabase, strings.Join(strange, ", "), table)
	}
	var clients []portalClient
	for _, row := range rows {
		clients = append(clients, c.databaseClient(row))
	}
	return clients, nil
}

// clientTable finds the table of clients by its columns. One with redirect_uri
// alone holds codes.
func clientTable(tables map[string][]string) (string, error) {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if slices.Contains(tables[name], "client_id") && slices.Contains(tables[name], "redirect_uris") {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("no table of clients is recognised (one with the columns client_id and redirect_uris); there are: %s", strings.Join(slices.Sorted(maps.Keys(tables)), ", "))
	}
	return "", fmt.Errorf("several tables look like clients: %s", strings.Join(found, ", "))
}

// strangeColumns are those that hold something and mean nothing to us: what
// limits a client must not be lost unseen.
func (c importLoopPortalCommand) strangeColumns(columns []string, rows []map[string]string) (strange []string) {
	for _, column := range columns {
		if portalColumns[column] != "" || bookkeeping.MatchString(column) || slices.Contains(c.LeaveColumn, column) {
			continue
		}
		if slices.ContainsFunc(rows, func(row map[string]string) bool {
			return !slices.Contains([]string{"", "0", "[]", "{}", "null"}, row[column])
		}) {
			strange = append(strange, column)
		}
	}
	return strange
}

// databaseClient reads one row.
func (c importLoopPortalCommand) databaseClient(row map[string]string) portalClient {
	client := portalClient{id: row["client_id"], from: fromDatabase}
	fields := map[string]any{}
	var noSecret error
	for _, column := range slices.Sorted(maps.Keys(row)) {
		value := row[column]
		if slices.Contains(c.LeaveColumn, column) || value == "" {
			continue
		}
		switch field := portalColumns[column]; field {
		case "client_id", "name", "description", "token_endpoint_auth_method":
			fields[field] = value
		case "redirect_uris", "post_logout_redirect_uris", "scopes", "grant_types":
			list, err := portalList(value)
			if err != nil {
				client.fault = fmt.Errorf("%s %w", column, err)
			} else if len(list) > 0 {
				fields[field] = list
			}
		case "secret":
			name, text, err := portalSecret(column, value)
			if noSecret = err; err == nil {
				fields[name] = text
			}
		case "public":
			if value != "0" {
				fields["token_endpoint_auth_method"] = "none"
			}
		case "active":
			fields["disabled"] = value == "0"
		case "disabled":
			fields["disabled"] = value != "0"
		}
	}
	if fields["token_endpoint_auth_method"] == "none" {
		delete(fields, "client_secret") // the column may have a default
		delete(fields, "client_secret_hash")
	} else if client.fault == nil {
		client.fault = noSecret
	}
	client.fields = map[string]json.RawMessage{}
	for name, value := range fields {
		text, err := json.Marshal(value)
		if err != nil {
			client.fault = err
		}
		client.fields[name] = text
	}
	return client
}

// portalList reads a list: JSON, or parted by white space.
func portalList(text string) (list []string, err error) {
	if !strings.HasPrefix(strings.TrimSpace(text), "[") {
		return strings.Fields(text), nil
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("is no list of texts")
	}
	return list, nil
}

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// portalSecret names the field of a secret: in clear, or hashed as Django does.
func portalSecret(column, value string) (field, text string, err error) {
	hashed := strings.Contains(column, "hash")
	switch {
	case strings.HasPrefix(value, "argon2$argon2id$"):
		return "client_secret_hash", strings.TrimPrefix(value, "argon2"), nil
	case strings.HasPrefix(value, "$argon2id$"), strings.HasPrefix(value, "sha256:"):
		return "client_secret_hash", value, nil
	case hashed && hexSHA256.MatchString(value):
		return "client_secret_hash", "sha256:" + value, nil
	case hashed, strings.HasPrefix(value, "pbkdf2_"), strings.HasPrefix(value, "bcrypt"), strings.HasPrefix(value, "scrypt$"):
		return "", "", fmt.Errorf("its secret is kept as a hash that peerage cannot compare with: delete it there, and make it anew by peerage client create")
	}
	return "client_secret", value, nil
}
