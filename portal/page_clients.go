package portal

// ClientsPage lists the clients.
type ClientsPage struct {
	Base
	Search  string
	Clients []ClientRow
	Total   int
	Pager   Pager
	Done    string // "deleted" after one was deleted
}

func (*ClientsPage) frame() frame { return frame{file: "clients", house: true, place: placeAdmin} }

// ClientRow is one client of the list.
type ClientRow struct {
	ID, Name, Link string
	Kind           Sentence
	// System: it comes from the settings.
	System, Disabled bool
	// Groups may use it; everybody when there are none.
	Groups []string
}

// RecipesPage offers the recipes.
type RecipesPage struct {
	Base
	Recipes []RecipeCard
}

func (*RecipesPage) frame() frame { return frame{file: "recipes", house: true, place: placeAdmin} }

// RecipeCard is one recipe to choose.
type RecipeCard struct{ Title, About, Link string }

// Letter is the first letter of the application's name.
func (c RecipeCard) Letter() string { return letter(c.Title) }

// RecipePage asks what a recipe needs to know; the form goes to
// /admin/clients with recipe.
type RecipePage struct {
	Base
	Name, Title, About string
	Fields             []Field
	Faults             []Field
}

func (*RecipePage) frame() frame { return frame{file: "recipe", house: true, place: placeAdmin} }

// ClientSecretPage shows what is shown once: the new secret of a client, and
// after a recipe the configuration of the other side.
type ClientSecretPage struct {
	Base
	ID, Name, Link string
	Made           bool   // it was just registered; else its secret was changed
	Secret         string // "" for a client without one
	OldUntil       string // until when the old one works, "" when it does not
	Steps          []RecipeStep
	Notes          []string
}

func (*ClientSecretPage) frame() frame {
	return frame{file: "client_secret", house: true, place: placeAdmin}
}

// RecipeStep is something to do on the other side.
type RecipeStep struct{ Title, Text string }

// ClientPage shows a client with the form that changes it, or the empty form
// of a new one. Faults: FaultConflict.
type ClientPage struct {
	Base
	ID, Name, Link string
	New            bool
	System         bool // read-only: it comes from the settings
	Disabled       bool
	HasSecret      bool
	OldSecretUntil Sentence // says until when the old secret works
	Version        string
	Hidden         []Hidden
	Sections       []FieldSection
	Faults         []Field
	// Refused says why an action was refused; Done what was just done.
	Refused, Done Sentence
	KeepOld       Field
	Person        Field
	Recipe        bool
}

func (*ClientPage) frame() frame { return frame{file: "client", house: true, place: placeAdmin} }

// FieldSection is a part of a long form.
type FieldSection struct {
	Title  Sentence
	Fields []Field
}

// ClientTestPage shows what a client would get of a person.
type ClientTestPage struct {
	Base
	ID, Name, Link string
	UserName       string
	Scopes         []string
	Warnings       []Sentence
	IDToken        string // JSON
	IDTokenBytes   int64
	UserInfo       string // JSON
	UserInfoBytes  int64
	SessionBytes   int64
	Groups         int64
	Again          Field
}

func (*ClientTestPage) frame() frame {
	return frame{file: "client_test_result", house: true, place: placeAdmin}
}
