package portal

// AdminPage is the overview of the administration: numbers that lead to lists.
type AdminPage struct {
	Base
	Numbers []Number
}

func (*AdminPage) frame() frame { return frame{file: "admin", house: true, place: placeAdmin} }

// Number is one number box.
type Number struct {
	Label Sentence
	Value int64
	Link  string // "" for none
}
