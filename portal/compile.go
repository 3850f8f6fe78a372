package portal

import (
	"errors"
	"html/template"
	"io/fs"
	"sync"
)

// frames are the files that every page is compiled with.
var frames = []string{"door.html", "house.html", "parts.html", "admin_parts.html"}

// pageFiles are the templates of all pages in one language. Each is compiled
// when it is first shown: all at once would take longer than the rest of the
// start. A test compiles every one, so that nobody meets a broken one first.
type pageFiles struct {
	files  fs.FS
	shared *template.Template // the frames; only ever copied

	mu       sync.Mutex
	compiled map[string]*template.Template // by file
}

func newPageFiles(files fs.FS, funcs template.FuncMap) (*pageFiles, error) {
	shared, err := template.New("").Funcs(funcs).Option("missingkey=error").ParseFS(files, frames...)
	if err != nil {
		return nil, err
	}
	return &pageFiles{files: files, shared: shared, compiled: map[string]*template.Template{}}, nil
}

// page is the compiled template of one file, such as "signin".
func (p *pageFiles) page(file string) (*template.Template, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.compiled[file]; t != nil {
		return t, nil
	}
	t, err := p.shared.Clone()
	if err != nil {
		return nil, err
	}
	if t, err = t.ParseFS(p.files, file+".html"); err != nil {
		return nil, err
	}
	for _, part := range []string{"title", "content"} {
		if t.Lookup(part) == nil {
			return nil, errors.New(file + ".html does not define " + part)
		}
	}
	p.compiled[file] = t
	return t, nil
}
