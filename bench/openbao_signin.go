package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
)

// Scenarios with OpenBao, by name.
const (
	scenarioDirect = "OpenBao alone: login and code"
	scenarioSignIn = "sign-in: password and code"
)

func openBaoScenarios() []scenario {
	return []scenario{{Name: scenarioDirect, prepare: directly}, {Name: scenarioSignIn, prepare: signInWithCode}}
}

// signer is a person of OpenBao with a second factor.
type signer struct {
	Name, Entity, Secret string
	last                 int64 // time step of the last code
}

const (
	totpStep = 30 // seconds
	// nearEnd is how much of a step must be left for the code of the step
	// before to arrive in time.
	nearEnd = 6 // seconds
)

// code is one that was not used and is good for a while, "" when there is none.
func (s *signer) code() (string, error) {
	now := time.Now().Unix()
	step := now/totpStep - 1
	if totpStep-now%totpStep < nearEnd {
		step++
	}
	if step = max(step, s.last+1); step > now/totpStep+1 {
		return "", nil
	}
	s.last = step
	return totp.GenerateCode(s.Secret, time.Unix(step*totpStep, 0))
}

// queue hands one worker people with a code.
func queue(w *world, n int) (next func() (person *signer, code string, err error)) {
	var mine []*signer
	for i := n; i < len(w.Signers); i += w.SignerWorkers {
		mine = append(mine, &w.Signers[i])
	}
	turn := 0
	return func() (*signer, string, error) {
		for range mine {
			s := mine[turn%len(mine)]
			turn++
			if code, err := s.code(); code != "" || err != nil {
				return s, code, err
			}
		}
		return nil, "", errEnough
	}
}

// errRefused: the code was right, but somebody else's had the same digits a
// moment ago. Of a thousand sign-ins in a minute and a half that meets one.
var errRefused = errors.New("the code is refused")

// give gives a person's code, and where it is refused their next one, as people
// do. again tells that they have none left: somebody else is to sign in.
func (s *signer) give(code string, try func(code string) error) (again bool, err error) {
	for code != "" {
		if err := try(code); !errors.Is(err, errRefused) {
			return false, err
		}
		if code, err = s.code(); err != nil {
			return false, err
		}
	}
	return true, nil
}

func postJSON(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// directly signs in at OpenBao itself.
func directly(w *world, n int, c *connection) (func() error, error) {
	return signsIn(queue(w, n), func(name string) (func(code string) error, error) {
		if err := answered(c, postJSON("/v1/auth/userpass/login/"+name, `{"password":"`+password+`"}`), 200); err != nil {
			return nil, err
		}
		request := c.member("mfa_request_id")
		return func(code string) error {
			status, err := c.send(postJSON("/v1/sys/mfa/validate", `{"mfa_request_id":"`+request+`","mfa_payload":{"`+w.Method+`":["`+code+`"]}}`))
			if err == nil && status == 403 {
				err = errRefused
			}
			if err == nil && (status != 200 || c.member("client_token") == "") {
				err = fmt.Errorf("the code is answered by %d and no token: %.200s", status, c.body)
			}
			return err
		}, nil
	}), nil
}

// signInWithCode is a new browser that shows a password and a code.
func signInWithCode(w *world, n int, c *connection) (func() error, error) {
	return signsIn(queue(w, n), func(name string) (func(code string) error, error) {
		if err := answered(c, get("/login", ""), 200); err != nil {
			return nil, err
		}
		cookies := "Cookie: " + strings.Join(c.cookies, "; ") + "\r\n"
		status, err := c.send(post("/login", cookies, "username="+name+"&password="+url.QueryEscape(password)))
		if err == nil && status == 503 {
			err = errLate
		}
		if err == nil && (status != 303 || !strings.HasPrefix(c.location, "/login/totp")) {
			err = fmt.Errorf("the password is answered by %d and leads to %q", status, c.location)
		}
		if err != nil {
			return nil, err
		}
		if err := answered(c, get(c.location, cookies), 200); err != nil {
			return nil, err
		}
		time.Sleep(w.Thinks)
		return func(code string) error {
			status, err := c.send(post("/login/totp", cookies, "code="+code))
			switch {
			case err == nil && status == 422:
				err = errRefused
			case err == nil && status == 503:
				err = errLate
			}
			if err == nil && (status != 303 || strings.HasPrefix(c.location, "/login")) {
				err = fmt.Errorf("the code is answered by %d and leads to %q", status, c.location)
			}
			return err
		}, nil
	}), nil
}

// signsIn is one round: a sign-in that succeeds. begin is the first half of it.
func signsIn(next func() (*signer, string, error), begin func(name string) (try func(code string) error, err error)) func() error {
	return func() error {
		for {
			person, code, err := next()
			if err != nil {
				return err
			}
			try, err := begin(person.Name)
			if err != nil {
				return err
			}
			if again, err := person.give(code, try); !again {
				return err
			}
		}
	}
}
