package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Foreign is the SQLite database of another program, opened for reading alone.
type Foreign struct {
	db   *sql.DB
	path string
}

// OpenForeign opens the SQLite database of another program. Nothing is written
// to it, and a file that is not there is not made.
func OpenForeign(ctx context.Context, path string) (*Foreign, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNoDatabase)
	}
	db, err := openFile(path, "mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)")
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	f := &Foreign{db, path}
	if _, err := f.Tables(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close closes the database.
func (f *Foreign) Close() error { return f.db.Close() }

// Tables gives the columns of every table, by the table's name.
func (f *Foreign) Tables(ctx context.Context) (map[string][]string, error) {
	rows, err := f.db.QueryContext(ctx, `SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY t.name, c.cid`)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.path, err)
	}
	defer rows.Close()
	tables := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.path, err)
		}
		tables[table] = append(tables[table], column)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.path, err)
	}
	return tables, nil
}

// Rows reads at most so many rows of a table, each by the names of its columns
// and as text; what is NULL is missing.
func (f *Foreign) Rows(ctx context.Context, table string, most int) ([]map[string]string, error) {
	rows, err := f.db.QueryContext(ctx, `SELECT * FROM "`+strings.ReplaceAll(table, `"`, `""`)+`" ORDER BY 1 LIMIT ?`, most)
	if err != nil {
		return nil, fmt.Errorf("reading the table %s of %s: %w", table, f.path, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("reading the table %s of %s: %w", table, f.path, err)
	}
	var list []map[string]string
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("reading the table %s of %s: %w", table, f.path, err)
		}
		row := map[string]string{}
		for i, value := range values {
			if value.Valid {
				row[columns[i]] = value.String
			}
		}
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the table %s of %s: %w", table, f.path, err)
	}
	return list, nil
}
