package portal

// HomePage is the first page of the house.
type HomePage struct {
	Base
	Name         string        // whom to greet: the given name, else the user name
	OneFactor    bool          // they have no second factor, here or at PeeringDB
	Password     bool          // there is a password that can be changed here
	Applications []Application // those that the person may open
	News         []Sentence    // networks that came or went
	Done         string        // what was just done: DoneSecondFactorAdded, …
}

func (*HomePage) frame() frame { return frame{file: "home", house: true, place: placeHome} }

// Application is one that the person may open.
type Application struct {
	Name        string
	Description string
	Logo        string // a data: picture or a path below /static
	LaunchURI   string // http or https; "" shows it without a link
}

// Letter is the first letter of the application's name.
func (a Application) Letter() string { return letter(a.Name) }
