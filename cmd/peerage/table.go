package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// printJSON writes one value as one JSON document on a line of its own.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// printTable writes aligned columns under their heads.
func printTable(w io.Writer, heads []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heads}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = printable(cell); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// printPairs writes one thing, a line for each of its values; the lines of a
// value of several stand under each other.
func printPairs(w io.Writer, pairs [][2]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, pair := range pairs {
		if pair[1] == "" {
			continue
		}
		head := pair[0] + ":"
		for line := range strings.SplitSeq(pair[1], "\n") {
			fmt.Fprintf(t, "%s\t%s\n", head, printable(line))
			head = ""
		}
	}
	return t.Flush()
}

// printable drops what would steer the terminal: names come from others.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
}

// unknown tells that a row has no time; what the first migration made has 1970.
func unknown(t time.Time) bool { return t.IsZero() || t.Unix() <= 0 }

// shownTime is a time for people, in UTC.
func shownTime(t time.Time) string {
	if unknown(t) {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// jsonTime is a time for programs (RFC 3339, UTC), null when there is none.
func jsonTime(t time.Time) *time.Time {
	if unknown(t) {
		return nil
	}
	t = t.UTC()
	return &t
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
