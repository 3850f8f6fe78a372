package portal

import "html/template"

// LeavePage leads a browser out of the site after a POST: a redirect would be
// held against form-action, the application's own redirects included.
// Target is a registered address; it is a template.URL since private-use
// schemes (com.example.app:/cb) must survive.
type LeavePage struct {
	Base
	Asker  *Asker
	Target template.URL
}

func (*LeavePage) frame() frame { return frame{file: "leave"} }

// FormPostPage hands an authorization response over by a form
// (response_mode=form_post). The handler sets the form-action of the content
// security policy. Fault is the OAuth error code that the fields carry, if any.
type FormPostPage struct {
	Base
	Asker  *Asker
	Action template.URL // the redirect address
	Fields []Hidden     // in this order
}

func (*FormPostPage) frame() frame { return frame{file: "form_post"} }

// Hidden is a hidden field of a form.
type Hidden struct{ Name, Value string }

// SignOutPage asks whether to sign out; the form goes to /logout with
// logout=yes and the hidden fields.
type SignOutPage struct {
	Base
	Asker    *Asker // who asked for it, nil when the person did
	UserName string
	Fields   []Hidden
}

func (*SignOutPage) frame() frame { return frame{file: "signout"} }

// SignedOutPage tells that the session has ended.
type SignedOutPage struct{ Base }

func (*SignedOutPage) frame() frame { return frame{file: "signed_out"} }
