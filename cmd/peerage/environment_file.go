package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// variableShape is what the name of a variable looks like.
var variableShape = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parseEnvironmentFile reads a file of variables as systemd, Docker and shells
// have them: KEY=VALUE, with comments, values in quotes that may go over
// several lines, and "export" in front. Of a variable that stands twice the
// last counts. Errors name lines and never what stands there, for it may be a
// secret.
func parseEnvironmentFile(text string) (map[string]string, error) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	values := map[string]string{}
	var faults []error
	for i := 0; i < len(lines); i++ {
		begun, line := i+1, strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, rest, given := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name = strings.TrimSpace(name)
		if !variableShape.MatchString(name) {
			faults = append(faults, fmt.Errorf("line %d is not of the form NAME=VALUE (a value of several lines needs quotes)", begun))
			continue
		}
		if !given {
			continue // Docker: the value is that of its own environment
		}
		rest = strings.TrimSpace(rest)
		var value string
		var err error
		switch {
		case strings.HasPrefix(rest, `"`), strings.HasPrefix(rest, "'"):
			value, i, err = quotedValue(lines, i, rest)
		default:
			value, i = plainValue(lines, i, rest)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: the value of %s %w", begun, name, err))
			continue
		}
		values[name] = value
	}
	return values, errors.Join(faults...)
}

// plainValue goes on where a line ends in a backslash.
func plainValue(lines []string, at int, value string) (string, int) {
	for strings.HasSuffix(value, `\`) && at+1 < len(lines) {
		at++
		value = strings.TrimSuffix(value, `\`) + strings.TrimSpace(lines[at])
	}
	return value, at
}

// quotedValue reads up to the closing quote, lines further if need be. Between
// double quotes a backslash takes the meaning of " \ $ and ` away.
func quotedValue(lines []string, at int, rest string) (value string, last int, err error) {
	quote, text := rest[0], rest[1:]
	var b strings.Builder
	for {
		for i := 0; i < len(text); i++ {
			c := text[i]
			if c == quote {
				if after := strings.TrimSpace(text[i+1:]); after != "" && after[0] != '#' {
					return "", at, errors.New("has something behind its closing quote")
				}
				return b.String(), at, nil
			}
			if c == '\\' && quote == '"' && i+1 < len(text) && strings.IndexByte("\"\\$`", text[i+1]) >= 0 {
				i++
				c = text[i]
			}
			b.WriteByte(c)
		}
		if at++; at >= len(lines) {
			return "", at, errors.New("has no closing quote")
		}
		b.WriteByte('\n')
		text = lines[at]
	}
}
