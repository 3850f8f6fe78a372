// Package static holds the files that pages refer to: the style sheet, the
// icon and the one script. They are served under names that contain the hash
// of their content, so that browsers may keep them for good.
package static

import (
	"embed"
	"net/http"

	"github.com/benbjohnson/hashfs"
)

//go:embed app.css favicon.svg passkey.js
var files embed.FS

// FS is the embedded files; it opens them by their plain and by their hashed
// names.
var FS = hashfs.NewFS(files)

// Prefix is the path under which Handler expects to be routed.
const Prefix = "/static/"

// Path returns the path of the file called name ("app.css") with the hash of
// its content in it. A name that does not exist comes back without a hash.
func Path(name string) string { return Prefix + FS.HashName(name) }

// Handler serves the embedded files below Prefix, and the style sheet of
// BrandCSS when hue is not nil. What is asked for by its hashed name may be
// kept for a year.
func Handler(hue *int) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(Prefix, http.StripPrefix(Prefix, hashfs.FileServer(FS)))
	if hue != nil {
		css := BrandCSS(*hue)
		mux.HandleFunc(BrandPath, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/css; charset=utf-8")
			w.Header().Set("Cache-Control", "public, max-age=31536000")
			// The answer is complete or the browser is gone; there is nobody to tell.
			_, _ = w.Write(css)
		})
	}
	return mux
}
