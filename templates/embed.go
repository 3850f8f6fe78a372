// Package templates holds the pages' HTML and their words, one catalogue a
// language. Package portal compiles and fills them.
package templates

import "embed"

// FS holds the frames (door.html, house.html), the parts (parts.html), one file
// a page, and words/LANGUAGE.txt.
//
//go:embed *.html words/*.txt
var FS embed.FS
