package portal_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// adminWorld is a site with an administrator whose second factor is fresh.
func adminWorld(t *testing.T) (*world, *portaltest.Browser, string) {
	t.Helper()
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("root", "admins"))
	b := w.signedIn(t, "root", secret)
	w.skipEvents()
	return w, b, secret
}

func (w *world) person(t *testing.T, name string) identity.User {
	t.Helper()
	u, err := w.Directory.UserByName(t.Context(), name)
	if err != nil {
		t.Fatalf("finding %s: %v", name, err)
	}
	return u
}

var shownLink = regexp.MustCompile(`<code class="block" id="link">([^<]+)</code>`)

// handedOver is the one-time link that a page shows.
func (w *world) handedOver(t *testing.T, page *portaltest.Page) string {
	t.Helper()
	found := shownLink.FindStringSubmatch(page.Body)
	if found == nil {
		t.Fatalf("%s (%d, error %q) shows no link", page.URL, page.Status, page.Error)
	}
	w.leaks.keep("link", found[1][strings.LastIndex(found[1], "/")+1:])
	return strings.TrimPrefix(found[1], w.Issuer)
}

// An administrator adds a person, who comes in by the link; loses the second
// factor and gets another; and is signed out everywhere in the end.
func TestAdministratorLooksAfterAPerson(t *testing.T) {
	w, b, _ := adminWorld(t)
	page := b.Submit(b.Get("/admin/users/new"), "username", "Eve", "name", "Eve Example", "email", "eve@example.net", "groups", "admins")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "The person was added.") {
		t.Fatalf("adding gives %s", outcome(page))
	}
	link := w.handedOver(t, page)
	w.happened(t, "user_create success eve", "group_member_add success eve", "user_invite success eve")
	eve := w.person(t, "eve")
	if eve.Name != "Eve Example" || eve.EmailVerified || !eve.In([]string{"admins"}) {
		t.Fatalf("made %+v", eve)
	}
	if rows := w.Log.Lines("audit"); rows[len(rows)-1]["by"] != "root" {
		t.Errorf("the event does not say who acted: %v", rows[len(rows)-1])
	}
	if !strings.HasPrefix(link, "/invite/") {
		t.Errorf("the link of an invitation is %s", link)
	}
	guest := w.Browser()
	if page := guest.Submit(guest.Get(link), "new_password", portaltest.Password, "repeat_password", portaltest.Password); page.Status != http.StatusOK {
		t.Fatalf("the invitation gives %s", outcome(page))
	}
	secret := w.AddTOTP(w.person(t, "eve"))
	guest = w.signedIn(t, "eve", secret)
	at := "/admin/users/" + eve.Sub
	w.skipEvents()

	asks := b.Get(at + "?ask=reset-mfa")
	if !strings.Contains(asks.Body, "Reset the second factor of") || w.person(t, "eve").TOTP == false {
		t.Fatalf("asking gives %s", outcome(asks))
	}
	page = b.Submit(asks, "action", "reset-mfa")
	link = w.handedOver(t, page)
	w.happened(t, "admin_totp_reset success eve")
	if outcome(guest.Once(http.MethodGet, "/", nil, nil)) != toLogin {
		t.Error("the session outlives the reset of its factor")
	}
	if again := b.Get(at); shownLink.MatchString(again.Body) {
		t.Error("the link is shown twice")
	}
	page = guest.Submit(guest.Get(link), "password", portaltest.Password)
	page = guest.Submit(page, "code", w.Code(w.enrolmentSecret(t, page)))
	if page.URL.Path != "/" {
		t.Fatalf("enrolling by the link leads to %s", page.URL)
	}
	w.skipEvents()
	page = b.Submit(b.Get(at+"?ask=sign-out"), "action", "sign-out")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "signed out everywhere") {
		t.Fatalf("signing out gives %s", outcome(page))
	}
	w.happened(t, "session_revoke success eve")
	if outcome(guest.Once(http.MethodGet, "/", nil, nil)) != toLogin {
		t.Error("signed out everywhere, and still in")
	}
	b.Post(at, url.Values{"action": {"sign-out"}, "consents": {"yes"}})
	w.happened(t, "session_revoke success eve", "consent_revoke success eve")
	w.handedOver(t, b.Post(at, url.Values{"action": {"recovery-link"}}))
	for _, action := range []string{"disable", "enable", "unlock", "delete"} {
		if page := b.Once(http.MethodPost, at, url.Values{"action": {action}}, nil); page.Status != http.StatusSeeOther {
			t.Errorf("%s gives %s", action, outcome(page))
		}
	}
	w.happened(t, "recovery_link_create success eve", "user_disable success eve", "user_enable success eve", "user_unlock success eve", "user_delete success eve")
	if page := b.Get(at); outcome(page) != "404 not_found" {
		t.Errorf("a deleted person has a page: %s", outcome(page))
	}
}

// Wrong forms come back with what was typed, and change nothing.
func TestPersonFormFaults(t *testing.T) {
	w, b, _ := adminWorld(t)
	eve := w.AddUser("eve")
	at := "/admin/users/" + eve.Sub
	tests := []struct {
		name, address string
		form          url.Values
		want          string
		shows         []string
	}{
		{"bad user name", "/admin/users", url.Values{"username": {"a b"}, "name": {"A <b>"}}, "422 invalid_request", []string{`value="a b"`, `value="A &lt;b&gt;"`, `id="username-fault"`}},
		{"taken user name", "/admin/users", url.Values{"username": {"EVE"}}, "422 invalid_request", []string{`value="EVE"`, "is taken"}},
		{"bad address", "/admin/users", url.Values{"username": {"fay"}, "email": {"nonsense"}}, "422 invalid_request", []string{`value="nonsense"`, `id="email-fault"`}},
		{"unknown group", "/admin/users", url.Values{"username": {"fay"}, "groups": {"nothing"}}, "422 invalid_request", []string{"One of the groups"}},
		{"edit with a bad address", at, url.Values{"action": {"save"}, "version": {"1"}, "name": {"Eve New"}, "email": {"nonsense"}}, "422 invalid_request", []string{`value="Eve New"`, `value="nonsense"`, `id="email-fault"`}},
		{"edit with a long name", at, url.Values{"action": {"save"}, "name": {strings.Repeat("x", 129)}}, "422 invalid_request", []string{`id="name-fault"`}},
		{"edit of an old version", at, url.Values{"action": {"save"}, "version": {"99"}, "name": {"Eve New"}}, "409 conflict", []string{`value="Eve New"`, "Someone else was faster"}},
		{"edit without a number", at, url.Values{"action": {"save"}, "version": {"x"}, "name": {"Eve New"}}, "409 conflict", nil},
		{"edit into a group that has gone", at, url.Values{"action": {"save"}, "version": {"1"}, "groups": {"gone"}}, "409 conflict", nil},
		{"no action", at, url.Values{}, "422 invalid_request", nil},
		{"forged action", at, url.Values{"action": {"promote"}}, "422 invalid_request", nil},
	}
	w.skipEvents()
	for _, test := range tests {
		page := b.Once(http.MethodPost, test.address, test.form, nil)
		if got := outcome(page); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		for _, s := range test.shows {
			if !strings.Contains(page.Body, s) {
				t.Errorf("%s: the page lacks %q", test.name, s)
			}
		}
	}
	w.happened(t)
	if now := w.person(t, "eve"); now.Version != eve.Version || now.Name != eve.Name {
		t.Errorf("a fault changed %+v", now)
	}
}

// Two administrators have the same person open: the second is told, and what
// the first saved stays.
func TestTwoAdministratorsEditOnePerson(t *testing.T) {
	w, b, _ := adminWorld(t)
	eve := w.AddUser("eve")
	secret := w.AddTOTP(w.AddUser("other", "admins"))
	other := w.signedIn(t, "other", secret)
	at := "/admin/users/" + eve.Sub
	mine, theirs := b.Get(at), other.Get(at)
	if page := b.Submit(mine, "action", "save", "name", "First", "email", "eve@example.net"); page.Status != http.StatusOK || page.URL.Query().Get("done") != "user_saved" {
		t.Fatalf("the first save gives %s", outcome(page))
	}
	page := other.Submit(theirs, "action", "save", "name", "Second")
	if outcome(page) != "409 conflict" || w.person(t, "eve").Name != "First" {
		t.Fatalf("the second save gives %s, and the name %q", outcome(page), w.person(t, "eve").Name)
	}
	// Having seen it, the second may save.
	if page := other.Submit(page, "action", "save", "name", "Second"); page.Status != http.StatusOK || w.person(t, "eve").Name != "Second" {
		t.Fatalf("saving again gives %s", outcome(page))
	}
	if u := w.person(t, "eve"); !u.EmailVerified && !u.In(nil) && u.Email != "eve@example.net" {
		t.Errorf("saving a name changed %+v", u)
	}
}

// The last administrator is neither demoted nor disabled nor deleted, on
// whatever page.
func TestLastAdministratorStaysOnPages(t *testing.T) {
	w, b, _ := adminWorld(t)
	root := w.person(t, "root")
	at := "/admin/users/" + root.Sub
	for name, page := range map[string]*portaltest.Page{
		"disable":      b.Once(http.MethodPost, at, url.Values{"action": {"disable"}}, nil),
		"delete":       b.Once(http.MethodPost, at, url.Values{"action": {"delete"}}, nil),
		"edit":         b.Once(http.MethodPost, at, url.Values{"action": {"save"}, "groups": {""}, "name": {"Changed"}}, nil),
		"take out":     b.Once(http.MethodPost, "/admin/groups", url.Values{"action": {"remove"}, "group": {"admins"}, "username": {"root"}}, nil),
		"delete group": b.Once(http.MethodPost, "/admin/groups", url.Values{"action": {"delete"}, "group": {"admins"}}, nil),
	} {
		if outcome(page) != "422 last_administrator" || !strings.Contains(page.Body, "The last administrator stays") {
			t.Errorf("%s: %s", name, outcome(page))
		}
	}
	if u := w.person(t, "root"); !w.Directory.IsAdmin(u) || u.Disabled || u.Version != root.Version {
		t.Errorf("left %+v", u)
	}
}

// Without a fresh factor nothing changes, whatever the form says; nor does
// anything for people who are no administrators.
func TestAdministrationNeedsFreshFactor(t *testing.T) {
	w, b, _ := adminWorld(t)
	eve := w.AddUser("eve")
	person := w.signedIn(t, "eve", "")
	at := "/admin/users/" + eve.Sub
	w.Clock.Advance(11 * time.Minute)
	w.skipEvents()
	for _, form := range []struct {
		address string
		form    url.Values
	}{
		{"/admin/users", url.Values{"username": {"fay"}}},
		{at, url.Values{"action": {"save"}, "name": {"Changed"}}}, {at, url.Values{"action": {"delete"}}}, {at, url.Values{"action": {"disable"}}},
		{at, url.Values{"action": {"reset-mfa"}}}, {at, url.Values{"action": {"recovery-link"}}}, {at, url.Values{"action": {"sign-out"}}},
		{"/admin/groups", url.Values{"action": {"add"}, "group": {"admins"}, "username": {"eve"}}},
		{"/admin/users/import", url.Values{"action": {"import"}, "csv": {"username\nfay\n"}}},
	} {
		want := "303 /login/confirm?return=" + url.QueryEscape(form.address)
		if got := outcome(b.Once(http.MethodPost, form.address, form.form, nil)); got != want {
			t.Errorf("%s %v: %s, want %s", form.address, form.form, got, want)
		}
		if got := outcome(person.Once(http.MethodPost, form.address, form.form, nil)); got != "403 not_allowed" {
			t.Errorf("%s %v by a person: %s", form.address, form.form, got)
		}
	}
	w.happened(t)
	if now := w.person(t, "eve"); now.Version != eve.Version {
		t.Errorf("changed %+v", now)
	}
}

func TestGroupsPage(t *testing.T) {
	w, b, _ := adminWorld(t)
	w.AddUser("eve")
	w.skipEvents()
	page := b.Submit(b.Get("/admin/groups"), "action", "create", "group", "peering team")
	if page.Status != http.StatusOK || page.URL.Query().Get("group") != "peering team" {
		t.Fatalf("making a group gives %s at %s", outcome(page), page.URL)
	}
	page = b.Submit(page, "action", "add", "username", "EVE")
	if !strings.Contains(page.Body, "Eve") && !strings.Contains(page.Body, ">eve<") {
		t.Errorf("the new member is not shown: %s", outcome(page))
	}
	if deleting := strings.Index(page.Body, "ask=delete"); deleting < strings.Index(page.Body, ">Members<") {
		t.Error("the button that deletes the group does not stand last")
	}
	page = b.Submit(page, "action", "remove", "username", "eve")
	if strings.Contains(page.Body, ">eve<") {
		t.Error("who was taken out is still shown")
	}
	page = b.Submit(b.Get(page.URL.Path+"?group=peering+team&ask=delete"), "action", "delete")
	if page.Status != http.StatusOK || strings.Contains(page.Body, "peering team") {
		t.Errorf("deleting gives %s", outcome(page))
	}
	w.happened(t, "group_create success", "group_member_add success eve", "group_member_remove success eve", "group_delete success")
	for _, test := range []struct{ form, want string }{
		{"action=create&group=as64500", "422 invalid_request"}, {"action=create&group=admins", "422 invalid_request"}, {"action=create&group=", "422 invalid_request"},
		{"action=add&group=admins&username=nobody", "422 invalid_request"}, {"action=add&group=nothing&username=eve", "404 not_found"},
		{"action=delete&group=nothing", "404 not_found"}, {"action=rename&group=admins", "422 invalid_request"},
	} {
		form, err := url.ParseQuery(test.form)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(b.Once(http.MethodPost, "/admin/groups", form, nil)); got != test.want {
			t.Errorf("%s: %s, want %s", test.form, got, test.want)
		}
	}
	w.happened(t)
}

// upload sends a file as the form of the import page does.
func upload(t *testing.T, b *portaltest.Browser, action, csv string) *portaltest.Page {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "people.csv")
	if err != nil {
		t.Fatal(err)
	}
	part.Write([]byte(csv))
	form.WriteField("action", action)
	form.Close()
	return b.Once(http.MethodPost, "/admin/users/import", nil, func(r *http.Request) {
		r.Body, r.ContentLength = http.NoBody, int64(body.Len())
		r.Body = readCloser{&body}
		r.Header.Set("Content-Type", form.FormDataContentType())
	})
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// A file is tried first and done then; the good rows are made although others fail.
func TestImportOfPeople(t *testing.T) {
	w, b, _ := adminWorld(t)
	const file = "\ufeffusername,name,email,groups\r\nfay,\"Fay, the \"\"first\"\"\",fay@example.net,admins\r\nroot,Taken,,\r\ngus,,nonsense,\r\n"
	page := upload(t, b, "check", file)
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "1 person can be added.") || !strings.Contains(page.Body, "2 lines can’t be used") {
		t.Fatalf("trying gives %s", outcome(page))
	}
	if n := strings.Count(page.Body, `class="primary"`); n != 1 {
		t.Errorf("%d buttons are the main one", n)
	}
	w.happened(t)
	done := b.Once(http.MethodPost, "/admin/users/import", url.Values{"action": {"import"}, "csv": {page.Forms[len(page.Forms)-2].Fields.Get("csv")}}, nil)
	if done.Status != http.StatusOK || !strings.Contains(done.Body, "1 person was added.") {
		t.Fatalf("doing gives %s", outcome(done))
	}
	if !strings.Contains(done.Body, `<a href="/admin/users?q=fay">`) {
		t.Error("nothing leads to the people who need a link")
	}
	w.happened(t, "user_create success fay", "group_member_add success fay")
	if u := w.person(t, "fay"); u.Name != `Fay, the "first"` || !u.In([]string{"admins"}) {
		t.Errorf("made %+v", u)
	}
	for name, file := range map[string]string{"nothing": "", "no header": "fay,Fay\n", "unknown column": "username,password\na,b\n", "nobody": "username\n", "no UTF-8": "username\n\xff\xfe\n",
		"too large": "username\n" + strings.Repeat("x", identity.MaxPeopleFile)} {
		if got := outcome(upload(t, b, "import", file)); got != "422 invalid_request" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := outcome(upload(t, b, "import", "username\n"+strings.Repeat("x", identity.MaxPeopleFile+1<<17))); got != "413 invalid_request" {
		t.Errorf("an endless file: %s", got)
	}
	w.happened(t)
}

// The list is found by words and narrowed by state, in pages.
func TestListOfPeople(t *testing.T) {
	w, b, _ := adminWorld(t)
	root := w.person(t, "root")
	for i := range 60 {
		if err := w.Store.CreateUser(t.Context(), store.User{Sub: "p" + strconv.Itoa(i), Origin: "local", Username: "person" + strconv.Itoa(100+i), Name: "Given Family" + strconv.Itoa(i)}, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	first := b.Get("/admin/users")
	if !strings.Contains(first.Body, ">person100<") || strings.Contains(first.Body, ">person155<") || !strings.Contains(first.Body, "/admin/users?page=2") {
		t.Error("the first page is not the first fifty")
	}
	if page := b.Get("/admin/users?page=2"); !strings.Contains(page.Body, ">person155<") || !strings.Contains(page.Body, ">root<") {
		t.Error("the second page lacks the rest")
	}
	for query, want := range map[string]string{"q=family7": "person107", "q=PERSON13+given": "person130", "state=administrators": "root", "q=root&state=origin-local": "root"} {
		if page := b.Get("/admin/users?" + query); !strings.Contains(page.Body, ">"+want+"<") || strings.Contains(page.Body, ">person120<") {
			t.Errorf("%s does not find %s alone", query, want)
		}
	}
	for _, query := range []string{"q=zebra", "page=99999", "page=-1&q=zebra", "state=no-such-state&q=zebra", "q=%00%ff"} {
		if page := b.Get("/admin/users?" + query); page.Status != http.StatusOK || strings.Contains(page.Body, `href="/admin/users/`+root.Sub) {
			t.Errorf("%s: %s", query, outcome(page))
		}
	}
	w.Directory.Audit.Flush()
	rows, err := w.Store.Events(t.Context(), store.EventFilter{Event: "admin_user_list", Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].Username != "root" {
		t.Errorf("looking at the list left %v, %v", rows, err)
	}
}
