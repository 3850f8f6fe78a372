package idp

import (
	"errors"
	"fmt"
	"strings"
)

// FieldError is a fault of one field of a client.
type FieldError struct {
	// Field is the name of the field in JSON, such as redirect_uris.
	Field string
	// Problem says what is wrong: a predicate ("must be …"), or one about a
	// part of the value, which it then begins with in quotes.
	Problem string
}

// Error implements error.
func (e *FieldError) Error() string {
	if strings.HasPrefix(e.Problem, `"`) {
		return e.Field + ": " + e.Problem
	}
	return e.Field + " " + e.Problem
}

func wrongField(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// FieldErrors takes an error of CheckClient apart: the faults by field, in the
// order in which they were found. Others stand under "".
func FieldErrors(err error) map[string][]string {
	faults := map[string][]string{}
	for _, err := range single(err) {
		if field, ok := errors.AsType[*FieldError](err); ok {
			faults[field.Field] = append(faults[field.Field], field.Problem)
		} else {
			faults[""] = append(faults[""], err.Error())
		}
	}
	return faults
}

// single takes joined errors apart, however deep.
func single(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, single(e)...)
	}
	return all
}
