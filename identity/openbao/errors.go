package openbao

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerage/identity"
)

// Kinds of faults beside those of package identity (ErrWrongCredentials,
// ErrWrongCode, ErrNoSignIn, ErrUnavailable and *ThrottledError).
var (
	// ErrForbidden: the token of the request is not good (any more), or its
	// policies do not allow this. OpenBao's words do not tell which: lookUp does.
	ErrForbidden = errors.New("forbidden by OpenBao")
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found in OpenBao")
	// ErrRefused: the request itself is wrong; repeating it does not help.
	ErrRefused = errors.New("refused by OpenBao")
	// ErrDenied is an ErrWrongCredentials that OpenBao gave before it looked at
	// the password, or in spite of it: the person is locked or disabled, or may
	// not sign in from here. For the audit trail; nobody else is told.
	ErrDenied = fmt.Errorf("locked or denied: %w", identity.ErrWrongCredentials)
	// ErrNoSecret is an ErrWrongCode that no code can mend: an enforcement asks
	// for one, and the person has no secret. An administrator must reset it.
	ErrNoSecret = fmt.Errorf("no TOTP secret: %w", identity.ErrWrongCode)
)

// Error is a request to OpenBao that went wrong. Its text holds no words of the
// server, which quote what was sent.
type Error struct {
	Operation string
	Status    int    // of the answer, 0 without one
	Kind      error  // one of the kinds, for errors.Is
	Reason    string // words of ours

	// said are the server's own words, for the operator who bootstraps.
	said []string
	// untouched: the server cannot have acted on the request.
	untouched bool
}

func (e *Error) Error() string {
	text := e.Kind.Error()
	if e.Operation != "" {
		text = "OpenBao " + e.Operation + ": " + text
	}
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	return text
}

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }

// defaultWait is how long to wait when OpenBao does not say.
const defaultWait = time.Second

// waitError carries the header Retry-After to classify.
type waitError struct{ wait time.Duration }

func (e waitError) Error() string { return "wait " + e.wait.String() }

func retryAfter(header string) error {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 1 {
		return waitError{defaultWait}
	}
	return waitError{time.Duration(min(seconds, 3600)) * time.Second}
}

// codeWait finds how long OpenBao refuses every code of a person.
var codeWait = regexp.MustCompile(`try again in ([0-9.]+)s`)

// maxCodeWait is OpenBao's window for wrong codes.
const maxCodeWait = 30 * time.Second

// classify makes an error of an answer (status, texts), or of none (err).
func classify(operation string, status int, texts []string, err error) error {
	said := func(words string) bool {
		return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, words) })
	}
	fault := func(kind error, reason string) error {
		return &Error{Operation: operation, Status: status, Kind: kind, Reason: reason, said: texts}
	}
	switch {
	case status == 0:
		return unreachable(operation, err)
	case status < 400:
		return &Error{Operation: operation, Status: status, Kind: identity.ErrUnavailable, Reason: "another node is active", untouched: true}
	case status == http.StatusTooManyRequests:
		wait := waitError{defaultWait}
		errors.As(err, &wait)
		return &identity.ThrottledError{Wait: wait.wait}
	case status == http.StatusServiceUnavailable && said("sealed"):
		return fault(identity.ErrUnavailable, "sealed")
	case operation == operationLogin:
		return classifyLogin(status, said, fault)
	case operation == operationCode:
		return classifyCode(status, texts, said, fault)
	case operation == operationCluster:
		return classifyCluster(status, said, fault)
	case operation == operationSign:
		return classifySign(status, said, fault)
	case status >= 500:
		return fault(identity.ErrUnavailable, "internal error of the server")
	case status == http.StatusForbidden:
		return fault(ErrForbidden, "")
	case status == http.StatusNotFound && said("namespace not found"):
		return fault(identity.ErrUnavailable, "no such namespace") // or everybody would be gone
	case status == http.StatusNotFound, said("invalid accessor"), said("No auth engine at"), said("cannot fetch sysview"):
		return fault(ErrNotFound, "")
	}
	return fault(ErrRefused, "")
}

// classifyLogin reads the answer to a password. What is unexpected must not
// look like a wrong password.
func classifyLogin(status int, said func(string) bool, fault func(error, string) error) error {
	switch {
	case status == http.StatusBadRequest && said("invalid username or password"):
		return fault(identity.ErrWrongCredentials, "")
	case status == http.StatusForbidden:
		return fault(ErrDenied, "")
	case status >= 500:
		return fault(identity.ErrUnavailable, "internal error of the server")
	case status == http.StatusNotFound:
		return fault(identity.ErrUnavailable, "no such namespace or mount")
	}
	return fault(identity.ErrUnavailable, "an unexpected answer")
}

// classifyCode reads the answer to a TOTP code.
func classifyCode(status int, texts []string, said func(string) bool, fault func(error, string) error) error {
	switch {
	case status == http.StatusBadRequest && said("invalid request ID"),
		status == http.StatusInternalServerError && said("found nil or empty MFAEnforcement"):
		return fault(identity.ErrNoSignIn, "")
	case status == http.StatusForbidden && said("maximum TOTP validation attempts"):
		wait := maxCodeWait
		if m := codeWait.FindStringSubmatch(strings.Join(texts, " ")); m != nil {
			if seconds, err := strconv.ParseFloat(m[1], 64); err == nil && seconds > 0 && seconds < maxCodeWait.Seconds() {
				wait = time.Duration(seconds * float64(time.Second))
			}
		}
		return &identity.ThrottledError{Wait: wait}
	case status == http.StatusForbidden && said("not present in entity"):
		return fault(ErrNoSecret, "")
	case status == http.StatusForbidden:
		return fault(identity.ErrWrongCode, "")
	case status >= 500:
		return fault(identity.ErrUnavailable, "internal error of the server")
	}
	return fault(identity.ErrUnavailable, "an unexpected answer")
}

// unreachable says why there is no answer.
func unreachable(operation string, err error) error {
	fault := &Error{Operation: operation, Kind: identity.ErrUnavailable, Reason: "no answer"}
	var network *net.OpError
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &tooLarge):
		fault.Reason = "the answer is too large"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		fault.Reason = "it does not answer in time"
	case errors.As(err, &network) && network.Op == "dial":
		fault.Reason, fault.untouched = "it cannot be reached", true
	case err != nil && strings.Contains(err.Error(), "tls: "), err != nil && strings.Contains(err.Error(), "x509: "):
		fault.Reason = "its certificate is not accepted"
	}
	return fault
}
