package portal

import (
	"context"
	"io"
	"net/http"
	"time"

	"peerage/identity"
	"peerage/store"
)

const (
	// maxExport is how many events a download holds at most.
	maxExport = 200_000
	// exportTime bounds a download, exportPause what its receiver may hesitate.
	exportTime  = 10 * time.Minute
	exportPause = 30 * time.Second
)

// exportEvents sends the events of a filter as a file, piece by piece: neither
// side holds the whole trail in memory.
func (p *Portal) exportEvents(w http.ResponseWriter, r *http.Request, filter store.EventFilter, format string) error {
	h := w.Header()
	h.Set("Content-Type", map[string]string{"csv": "text/csv; charset=utf-8", "json": "application/json"}[format])
	h.Set("Content-Disposition", `attachment; filename="peerage-events-`+p.now().UTC().Format("20060102T1504Z")+"."+format+`"`)
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), exportTime)
	defer cancel()
	var to identity.EventWriter
	body := patientWriter{w, http.NewResponseController(w)}
	if to = identity.NewEventsCSV(body); format == "json" {
		to = identity.NewEventsJSON(body)
	}
	if err := identity.ExportEvents(ctx, p.store, filter, maxExport, to); err != nil {
		p.log.WarnContext(r.Context(), "a download of events was cut off", "error", err)
		// A file that ends early must not look complete.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// patientWriter gives each piece its own time, for the whole may take longer
// than the server allows an answer.
type patientWriter struct {
	w        io.Writer
	response *http.ResponseController
}

// Write implements io.Writer.
func (p patientWriter) Write(b []byte) (int, error) {
	// Where there is no connection, in a test, there is no deadline either.
	_ = p.response.SetWriteDeadline(time.Now().Add(exportPause))
	return p.w.Write(b)
}
