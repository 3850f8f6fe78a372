package identity

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"peerage/store"
)

// Bounds of a file of people.
const (
	MaxPeopleFile = 4 << 20 // bytes
	MaxPeople     = 10_000  // rows
)

// PeopleColumns are the columns of a file of people; all but the first may be
// left out, and groups are separated by semicolons.
var PeopleColumns = []string{"username", "name", "email", "groups"}

// Imported is one row of a file of people and what became of it.
type Imported struct {
	Row      int    `json:"row"` // line of the file
	Username string `json:"username"`
	// Result is ImportCreated, ImportValid (of a dry run) or ImportFailed.
	Result string `json:"result"`
	Error  string `json:"error,omitempty"`

	person NewUser
	fault  error
}

// Values of Imported.Result.
const (
	ImportCreated = "created"
	ImportValid   = "valid"
	ImportFailed  = "failed"
)

// ReadPeople reads a file of people: CSV (RFC 4180) in UTF-8 with a header.
// The error tells what is wrong with the whole file; what is wrong with a row
// is told by Import.
func ReadPeople(r io.Reader) ([]Imported, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxPeopleFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	if len(data) > MaxPeopleFile {
		return nil, fmt.Errorf("the file has more than %d bytes", MaxPeopleFile)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // spreadsheets write a byte order mark
	if !utf8.Valid(data) {
		return nil, errors.New("the file is not UTF-8: save it as \"CSV UTF-8\"")
	}
	reader := csv.NewReader(bufio.NewReader(bytes.NewReader(data)))
	reader.FieldsPerRecord = -1
	head, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("the first line must be %s: %w", strings.Join(PeopleColumns, ","), err)
	}
	columns, err := peopleColumns(head)
	if err != nil {
		return nil, err
	}
	return readRows(reader, columns)
}

// peopleColumns finds the place of each column.
func peopleColumns(head []string) (map[string]int, error) {
	columns := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := columns[name]; twice || !slices.Contains(PeopleColumns, name) {
			return nil, fmt.Errorf("the first line must be %s; %q is not understood", strings.Join(PeopleColumns, ","), name)
		}
		columns[name] = i
	}
	if _, ok := columns["username"]; !ok {
		return nil, fmt.Errorf("the first line must be %s", strings.Join(PeopleColumns, ","))
	}
	return columns, nil
}

func readRows(reader *csv.Reader, columns map[string]int) ([]Imported, error) {
	var rows []Imported
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if len(rows) == MaxPeople {
			return nil, fmt.Errorf("the file has more than %d people", MaxPeople)
		}
		row := Imported{}
		var parse *csv.ParseError
		switch {
		case errors.As(err, &parse):
			row.Row, row.fault = parse.StartLine, fmt.Errorf("the line is no CSV: %w", parse.Err)
		case err != nil:
			return nil, fmt.Errorf("reading the file: %w", err)
		default:
			row.Row, _ = reader.FieldPos(0)
			row.read(record, columns)
		}
		rows = append(rows, row)
	}
}

func (i *Imported) read(record []string, columns map[string]int) {
	if len(record) != len(columns) {
		i.fault = fmt.Errorf("the line has %d fields and the first line %d", len(record), len(columns))
	}
	field := func(name string) string {
		at, ok := columns[name]
		if !ok || at >= len(record) {
			return ""
		}
		return strings.TrimSpace(record[at])
	}
	i.person = NewUser{Username: NormalizeUsername(field("username")), Name: field("name"), Email: field("email")}
	i.Username = i.person.Username
	for _, g := range strings.Split(field("groups"), ";") {
		if g = strings.TrimSpace(g); g != "" && !slices.Contains(i.person.Groups, g) {
			i.person.Groups = append(i.person.Groups, g)
		}
	}
}

// Import makes the people of a file, the good rows although others fail. A dry
// run finds the same faults and changes nothing. The people have no password:
// each needs a link of their own.
func (d *Directory) Import(ctx context.Context, rows []Imported, dryRun bool) ([]Imported, error) {
	groups, err := d.store.Groups(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing groups: %w", err)
	}
	known, seen := map[string]bool{}, map[string]int{}
	for _, g := range groups {
		known[g.Name] = true
	}
	results := make([]Imported, 0, len(rows))
	for _, row := range rows {
		fault := row.fault
		if fault == nil {
			fault = row.check(known, seen)
		}
		row.Result = ImportCreated
		if dryRun {
			row.Result = ImportValid
		}
		if fault == nil {
			fault, err = d.importOne(ctx, row.person, dryRun)
		}
		if err != nil {
			return results, err
		}
		if fault != nil {
			row.Result, row.Error = ImportFailed, fault.Error()
		}
		results = append(results, row)
	}
	return results, nil
}

// check finds what is wrong with a row before the store is asked.
func (i Imported) check(known map[string]bool, seen map[string]int) error {
	for _, err := range []error{CheckUsername(i.person.Username), CheckName(i.person.Name), CheckEmail(i.person.Email)} {
		if err != nil {
			return err
		}
	}
	if first, ok := seen[i.Username]; ok {
		return fmt.Errorf("the user name %q stands in line %d already", i.Username, first)
	}
	seen[i.Username] = i.Row
	for _, g := range i.person.Groups {
		if !known[g] {
			return fmt.Errorf("there is no group called %q", g)
		}
	}
	return nil
}

// importOne makes one person. fault is what is wrong with them, err what stops
// everything.
func (d *Directory) importOne(ctx context.Context, n NewUser, dryRun bool) (fault, err error) {
	if dryRun {
		_, err = d.store.UserByName(ctx, n.Username)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err == nil {
			err = store.ErrExists
		}
	} else {
		_, err = d.CreateUser(ctx, n)
	}
	switch {
	case errors.Is(err, store.ErrExists):
		return fmt.Errorf("the user name %q is taken", n.Username), nil
	case errors.Is(err, store.ErrNotFound):
		return errors.New("one of the groups was deleted meanwhile"), nil
	case errors.Is(err, ErrNotGranted):
		return err, nil
	}
	return nil, err
}
