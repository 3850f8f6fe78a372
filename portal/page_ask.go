package portal

// AskPage asks before something that cannot be taken back, on a page of its
// own that says what will happen. It is shown by a GET (?ask=delete); its form
// posts Button to Action, and that POST does the work by itself, also when it
// comes without this page.
type AskPage struct {
	Base
	// Place is the path of the current place in the second row, such as
	// /admin/users; it decides whose second row is shown.
	Place string
	Title Sentence
	Text  Sentence
	// Consequences are what will happen, a sentence each.
	Consequences []Sentence
	Action       string // path that the form posts to
	Fields       []Hidden
	Choices      []Field // such as a checkbox
	Button       Hidden  // name and value of the button
	Submit       Sentence
	Back         string // path of the page to return to
}

func (p *AskPage) frame() frame {
	f := frame{file: "ask", house: true, place: placeAdmin}
	if p.OfAccount() {
		f.place = placeAccount
	}
	return f
}

// OfAccount tells whether the page belongs to Account and not to Admin.
func (p *AskPage) OfAccount() bool { return len(p.Place) >= 9 && p.Place[:9] == "/identity" }
