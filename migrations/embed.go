// Package migrations holds the schema as numbered SQL files, one transaction
// each. The text runs unchanged on SQLite and on PostgreSQL: $1 placeholders,
// BIGINT microseconds since 1970 UTC for times, BYTEA for bytes.
package migrations

import "embed"

// FS holds the files NNNN_name.sql.
//
//go:embed *.sql
var FS embed.FS
