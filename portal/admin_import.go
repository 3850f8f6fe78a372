package portal

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"peerage/identity"
)

const pathImport = "/admin/users/import"

// maxUpload is more than any file of people in its envelope.
const maxUpload = identity.MaxPeopleFile + 1<<16

// importPage is the form that takes a file of people.
func (p *Portal) importPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	return p.importForm(w, r, v, Sentence{})
}

func (p *Portal) importForm(w http.ResponseWriter, r *http.Request, v identity.Visitor, wrong Sentence) error {
	page := &ImportPage{Base: p.base(r, &v), File: importField(wrong)}
	status := http.StatusOK
	if page.File.Faulty() {
		page.Fault, status = FaultForm, http.StatusUnprocessableEntity
	}
	return p.render.Render(w, status, page)
}

func importField(wrong Sentence) Field {
	return Field{Name: "file", Kind: FieldFile, Label: Say("import.file"), Hint: Say("import.file.hint"), Fault: wrong, Required: true}
}

// importPeople shows what a file would do (action=check) or does it
// (action=import).
func (p *Portal) importPeople(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	text, err := uploaded(w, r, "csv", maxUpload)
	if err != nil {
		return err
	}
	action := r.PostForm.Get("action")
	if action != "check" && action != "import" {
		return errBadAction
	}
	rows, err := identity.ReadPeople(strings.NewReader(text))
	switch {
	case err != nil:
		return p.importForm(w, r, v, Say("import.fault.file", "fault", err.Error()))
	case len(rows) == 0:
		return p.importForm(w, r, v, Say("import.fault.nobody"))
	}
	results, err := p.directory.Import(r.Context(), rows, action == "check")
	if err != nil {
		return err
	}
	page := importResults(results)
	page.Base, page.Done, page.File = p.base(r, &v), action == "import", importField(Sentence{})
	if !page.Done {
		page.CSV = text
	}
	return p.render.Render(w, http.StatusOK, page)
}

// takesFiles tells whether a request brings a file where files are taken.
func takesFiles(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "multipart/form-data" && (r.URL.Path == pathImport || r.URL.Path == pathCerts)
}

// uploaded is the text of the file that came, or else of the field that has it
// as text: typed there, or carried from one form to the next. most bounds the
// form with its envelope, in bytes.
func uploaded(w http.ResponseWriter, r *http.Request, field string, most int64) (string, error) {
	if takesFiles(r) {
		r.Body = http.MaxBytesReader(w, r.Body, most)
		if err := r.ParseMultipartForm(most); err != nil {
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				return "", err
			}
			return "", errBadAction
		}
	}
	file, head, err := r.FormFile("file")
	if err != nil {
		return r.PostForm.Get(field), nil
	}
	defer file.Close()
	if head.Size == 0 { // no file was chosen
		return r.PostForm.Get(field), nil
	}
	text, err := io.ReadAll(io.LimitReader(file, most))
	return string(text), err
}

// maxImportRows bounds what one page shows of a file.
const maxImportRows = 200

func importResults(results []identity.Imported) *ImportPage {
	page := &ImportPage{}
	for _, r := range results {
		if r.Result == identity.ImportFailed {
			page.Failed++
		} else {
			page.Good++
		}
		page.Results = append(page.Results, ImportRow{Row: r.Row, UserName: r.Username, Error: r.Error})
	}
	slices.SortStableFunc(page.Results, func(a, b ImportRow) int {
		return cmp.Compare(min(1, len(b.Error)), min(1, len(a.Error)))
	})
	if len(page.Results) > maxImportRows {
		page.More, page.Results = len(page.Results)-maxImportRows, page.Results[:maxImportRows]
	}
	return page
}
