package idp

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"peerage/identity"
	"peerage/store"
)

// drawTime is a moment around now, often equal to others.
func drawTime(t *rapid.T, now time.Time, label string) time.Time {
	seconds := rapid.SampledFrom([]int{-3600, -60, -2, -1, 0, 1}).Draw(t, label)
	return now.Add(time.Duration(seconds) * time.Second)
}

func drawSome(t *rapid.T, of []string, label string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, len(of), rapid.ID[string]).Draw(t, label)
}

func drawFlow(t *rapid.T) Flow {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	people := []string{"ada", "bob"}
	scopes := []string{"openid", "profile", "groups", "offline_access"}
	f := Flow{Now: now}
	f.Request = FlowRequest{
		Prompts:      rapid.SampledFrom([][]string{nil, {"none"}, {"login"}, {"consent"}, {"select_account"}, {"login", "consent"}, {"consent", "select_account"}}).Draw(t, "prompts"),
		MaxAge:       time.Duration(rapid.SampledFrom([]int{-1, 0, 1, 60, 7200}).Draw(t, "max_age")) * time.Second,
		ACRValues:    drawSome(t, []string{"1", "2", "phr", "nonsense"}, "acr_values"),
		HintSub:      rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(t, "hint"),
		EssentialACR: rapid.SampledFrom([][]string{nil, nil, nil, {"1"}, {"2"}, {"1", "2"}, {"phr"}, {"2", "phr"}, {"nonsense"}}).Draw(t, "essential"),
		Scopes:       append([]string{"openid"}, drawSome(t, scopes[1:], "scopes")...),
		CreatedAt:    drawTime(t, now, "created"),
		Progress: store.Progress{Paged: rapid.Bool().Draw(t, "paged"), DecidedBy: rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(t, "decided by"),
			Chosen: rapid.Bool().Draw(t, "chosen"), Consented: rapid.Bool().Draw(t, "answered"), Confirmed: rapid.Bool().Draw(t, "confirmed")},
	}
	if f.asks("login") || rapid.IntRange(0, 4).Draw(t, "other account") == 0 {
		f.Request.LoginAfter = drawTime(t, now, "login after")
	}
	if rapid.IntRange(0, 4).Draw(t, "nobody") > 0 {
		f.Session = &FlowSession{Sub: rapid.SampledFrom(people).Draw(t, "sub"), AuthTime: drawTime(t, now, "auth_time"), ACR: rapid.SampledFrom([]string{"1", "2", "phr"}).Draw(t, "acr"), FactorAt: drawTime(t, now, "factor_at")}
		passkey := rapid.Bool().Draw(t, "passkey")
		f.User = FlowUser{SecondFactor: passkey || rapid.Bool().Draw(t, "totp"), Passkey: passkey, NeedsLink: rapid.IntRange(0, 4).Draw(t, "needs link") == 0,
			Consented: drawSome(t, scopes, "consented"), Allowed: rapid.IntRange(0, 4).Draw(t, "outsider") > 0}
	}
	if rapid.Bool().Draw(t, "half done") {
		f.SignIn = &FlowSignIn{Challenged: rapid.Bool().Draw(t, "challenged"), NeedsLink: rapid.Bool().Draw(t, "sign-in needs link"), MayEnrol: rapid.Bool().Draw(t, "may enrol")}
	}
	f.Policy = FlowPolicy{RequireMFA: rapid.Bool().Draw(t, "mfa"), Trusted: rapid.Bool().Draw(t, "trusted"), Confirm: rapid.Bool().Draw(t, "native")}
	return f
}

// No input reaches Done without what it demands, and none asks for nothing.
func TestNextProperty(t *testing.T) {
	RapidChecks(t, "3000", "30")
	rapid.Check(t, func(t *rapid.T) {
		f := drawFlow(t)
		step, fault := Next(f)
		if (step == Deny) != (fault != nil) {
			t.Fatalf("%s with fault %v", step, fault)
		}
		if slices.Contains(f.Request.Prompts, "none") && step != Deny && step != Done {
			t.Fatalf("prompt=none shows %s", step)
		}
		if step == Deny && !slices.Contains(f.Request.Prompts, "none") && !hopelessModel(f) {
			t.Fatalf("a fault that a page could mend: %v", fault)
		}
		if again, _ := Next(f); again != step {
			t.Fatalf("%s, then %s", step, again)
		}
		if fault != nil && (fault.Code == "login_required") != mustSignInModel(f) {
			t.Fatalf("%v, but somebody suitable is signed in: %v", fault, !mustSignInModel(f))
		}
		switch step {
		case Done:
			checkDone(t, f)
		case SignIn, Choose, Consent, Confirm, NoAccess:
			if (step == SignIn) == (f.Session != nil) && !mustSignInModel(f) {
				t.Fatalf("%s while somebody suitable is signed in", step)
			}
			if step != SignIn && mustSignInModel(f) {
				t.Fatalf("%s while nobody suitable is signed in", step)
			}
		case Factor:
			if f.SignIn == nil && (f.Session == nil || !f.User.SecondFactor) {
				t.Fatal("a second factor is asked of somebody who has none")
			}
		case Passkey:
			if f.Session == nil || !f.User.Passkey || f.Session.ACR == identity.ACRPasskey {
				t.Fatal("a passkey is asked of somebody who has none, or gave it")
			}
			// Whoever gave what the page asks for is not asked again.
			given := f
			session := *f.Session
			session.ACR, session.FactorAt = identity.ACRPasskey, f.Now
			given.Session = &session
			if again, _ := Next(given); again == Passkey || again == Factor || again == Enrol {
				t.Fatalf("a passkey leads to %s", again)
			}
		case Enrol:
			if f.SignIn == nil && (f.User.SecondFactor || !f.Policy.RequireMFA) {
				t.Fatal("an enrolment is asked without need")
			}
			if f.SignIn != nil && mustSignInModel(f) && f.SignIn.NeedsLink && !f.SignIn.MayEnrol {
				t.Fatal("the password alone leads to an enrolment after a reset")
			}
		}
	})
}

// hopelessModel: no page helps when somebody else has just signed in than the
// client means, or when the class that it demands is out of reach.
func hopelessModel(f Flow) bool {
	s := f.Session
	if s == nil {
		return false
	}
	if f.Request.HintSub != "" && s.Sub != f.Request.HintSub {
		return !s.AuthTime.Before(f.Request.CreatedAt)
	}
	return !metModel(f)
}

// metModel says which session meets which demand, case by case.
func metModel(f Flow) bool {
	if len(f.Request.EssentialACR) == 0 {
		return true
	}
	meets := map[string][]string{"1": {"1"}, "2": {"1", "2"}, "phr": {"1", "2", "phr"}}
	return slices.ContainsFunc(f.Request.EssentialACR, func(want string) bool { return slices.Contains(meets[f.Session.ACR], want) })
}

// mustSignInModel says it in other words than the code: is there a session
// that answers what the request wants of a sign-in?
func mustSignInModel(f Flow) bool {
	s := f.Session
	if s == nil || f.Request.HintSub != "" && s.Sub != f.Request.HintSub {
		return true
	}
	if !f.Request.LoginAfter.IsZero() && s.AuthTime.Before(f.Request.LoginAfter) {
		return true
	}
	tooOld := f.Request.MaxAge >= 0 && s.AuthTime.Add(f.Request.MaxAge).Before(f.Now)
	return tooOld && s.AuthTime.Before(f.Request.CreatedAt)
}

func checkDone(t *rapid.T, f Flow) {
	if mustSignInModel(f) {
		t.Fatal("nobody suitable is signed in")
	}
	s := f.Session
	one := s.ACR == identity.ACROneFactor
	if one && f.Policy.RequireMFA {
		t.Fatal("a second factor is demanded")
	}
	if first := slices.IndexFunc(f.Request.ACRValues, func(v string) bool { return v != "nonsense" }); one && f.User.SecondFactor && first >= 0 && f.Request.ACRValues[first] != "1" {
		t.Fatal("two factors are wished and the person has them")
	}
	if f.User.NeedsLink || !f.User.Allowed {
		t.Fatal("the person may not go on")
	}
	if !metModel(f) {
		t.Fatal("the class that the client demands was not reached")
	}
	answers := f.Request.DecidedBy == s.Sub
	missing := slices.ContainsFunc(f.Request.Scopes, func(scope string) bool { return !slices.Contains(f.User.Consented, scope) })
	if !(answers && f.Request.Consented) && (slices.Contains(f.Request.Prompts, "consent") || missing && !f.Policy.Trusted) {
		t.Fatal("nobody consented")
	}
	fresh := !s.AuthTime.Before(f.Request.CreatedAt)
	if slices.Contains(f.Request.Prompts, "select_account") && !fresh && !(answers && f.Request.Chosen) {
		t.Fatal("no account was chosen")
	}
	if f.Policy.Confirm && !f.Policy.Trusted && !fresh && !(answers && (f.Request.Consented || f.Request.Chosen || f.Request.Confirmed)) {
		t.Fatal("a public native client got an answer without a page")
	}
}

// What classes a client wishes for or demands, and what the person has, decide
// what is asked and which class the ID token tells.
func TestClasses(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before, since := begun.Add(-time.Minute), begun.Add(time.Minute)
	tests := map[string]struct {
		acr       string
		factorAt  time.Time
		code      bool // has a TOTP factor
		passkey   bool
		mfa       bool
		wished    []string
		essential []string
		want      Step
		claimed   string // with Done
	}{
		"a passkey is two factors":                        {"phr", before, false, true, true, []string{"2"}, nil, Done, "phr"},
		"a passkey meets an essential 2":                  {"phr", before, true, true, false, nil, []string{"2"}, Done, "2"},
		"a passkey meets an essential 1":                  {"phr", before, true, true, false, nil, []string{"1"}, Done, "1"},
		"the strongest of what is demanded":               {"phr", before, true, true, false, nil, []string{"1", "2"}, Done, "2"},
		"an essential passkey that was given":             {"phr", before, false, true, false, nil, []string{"phr"}, Done, "phr"},
		"an essential passkey after a code":               {"2", since, true, true, false, nil, []string{"phr"}, Passkey, ""},
		"an essential passkey after a password":           {"1", since, true, true, false, nil, []string{"phr"}, Passkey, ""},
		"an essential passkey of who has none":            {"2", since, true, false, false, nil, []string{"phr"}, Deny, ""},
		"an essential 2 or passkey, a code will do":       {"1", since, true, true, false, nil, []string{"2", "phr"}, Factor, ""},
		"an essential 2 of who has a passkey alone":       {"1", before, false, true, false, nil, []string{"2"}, Factor, ""},
		"an essential class that nobody knows":            {"phr", before, true, true, false, nil, []string{"gold"}, Deny, ""},
		"a wished passkey":                                {"2", before, true, true, false, []string{"phr"}, nil, Passkey, ""},
		"a wished passkey, asked for and not given":       {"2", since, true, true, false, []string{"phr", "2"}, nil, Done, "2"},
		"a wished passkey of who has a code":              {"1", before, true, false, false, []string{"phr"}, nil, Factor, ""},
		"a wished passkey of who has nothing":             {"1", before, false, false, false, []string{"phr"}, nil, Done, "1"},
		"a passkey liked less than a code":                {"2", before, true, true, false, []string{"2", "phr"}, nil, Done, "2"},
		"a second factor is demanded, there is a passkey": {"1", before, false, true, true, nil, nil, Factor, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := Flow{Now: since, Request: FlowRequest{MaxAge: -1, ACRValues: test.wished, EssentialACR: test.essential, CreatedAt: begun},
				Session: &FlowSession{Sub: "ada", AuthTime: before, ACR: test.acr, FactorAt: test.factorAt},
				User:    FlowUser{SecondFactor: test.code || test.passkey, Passkey: test.passkey, Allowed: true},
				Policy:  FlowPolicy{RequireMFA: test.mfa, Trusted: true}}
			step, fault := Next(f)
			if step != test.want || (fault != nil) != (step == Deny) || fault != nil && fault.Code != "unmet_authentication_requirements" {
				t.Errorf("%s (%v), want %s", step, fault, test.want)
			}
			if step == Done && claimedACR(test.acr, test.essential) != test.claimed {
				t.Errorf("the ID token says %q, want %q", claimedACR(test.acr, test.essential), test.claimed)
			}
			f.Request.Prompts = []string{"none"}
			if step, fault = Next(f); test.want == Passkey && (step != Deny || fault.Code != "interaction_required") {
				t.Errorf("prompt=none: %s (%v)", step, fault)
			}
		})
	}
}

func TestStepNames(t *testing.T) {
	seen := map[string]bool{}
	for step := SignIn; step <= Done; step++ {
		if name := step.String(); name == "" || seen[name] {
			t.Errorf("step %d is called %q", step, name)
		} else {
			seen[name] = true
		}
	}
}
