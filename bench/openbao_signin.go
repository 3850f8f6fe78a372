package main

import (
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
func queue(w *world, n int) (next func() (name, code string, err error)) {
	var mine []*signer
	for i := n; i < len(w.Signers); i += w.SignerWorkers {
		mine = append(mine, &w.Signers[i])
	}
	turn := 0
	return func() (string, string, error) {
		for range mine {
			s := mine[turn%len(mine)]
			turn++
			if code, err := s.code(); code != "" || err != nil {
				return s.Name, code, err
			}
		}
		return "", "", errEnough
	}
}

func postJSON(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// directly signs in at OpenBao itself.
func directly(w *world, n int, c *connection) (func() error, error) {
	next := queue(w, n)
	return func() error {
		name, code, err := next()
		if err != nil {
			return err
		}
		if err := answered(c, postJSON("/v1/auth/userpass/login/"+name, `{"password":"`+password+`"}`), 200); err != nil {
			return err
		}
		if err := answered(c, postJSON("/v1/sys/mfa/validate", `{"mfa_request_id":"`+c.member("mfa_request_id")+`","mfa_payload":{"`+w.Method+`":["`+code+`"]}}`), 200); err != nil {
			return err
		}
		if c.member("client_token") == "" {
			return fmt.Errorf("no token: %.200s", c.body)
		}
		return nil
	}, nil
}

// signInWithCode is a new browser that shows a password and a code.
func signInWithCode(w *world, n int, c *connection) (func() error, error) {
	next := queue(w, n)
	return func() error {
		name, code, err := next()
		if err != nil {
			return err
		}
		if err := answered(c, get("/login", ""), 200); err != nil {
			return err
		}
		cookies := "Cookie: " + strings.Join(c.cookies, "; ") + "\r\n"
		if err := answered(c, post("/login", cookies, "username="+name+"&password="+url.QueryEscape(password)), 303); err != nil {
			return err
		}
		if !strings.HasPrefix(c.location, "/login/totp") {
			return fmt.Errorf("the password leads to %s", c.location)
		}
		if err := answered(c, get(c.location, cookies), 200); err != nil {
			return err
		}
		time.Sleep(w.Thinks)
		if err := answered(c, post("/login/totp", cookies, "code="+code), 303); err != nil {
			return err
		}
		if strings.HasPrefix(c.location, "/login") {
			return fmt.Errorf("the code leads to %s", c.location)
		}
		return nil
	}, nil
}
