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
	var walk func(error)
	walk = func(err error) {
		var field *FieldError
		joined, many := err.(interface{ Unwrap() []error })
		switch {
		case err == nil:
		case many:
			for _, e := range joined.Unwrap() {
				walk(e)
			}
		case errors.As(err, &field):
			faults[field.Field] = append(faults[field.Field], field.Problem)
		default:
			faults[""] = append(faults[""], err.Error())
		}
	}
	walk(err)
	return faults
}
