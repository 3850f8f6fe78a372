package baotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client has no proxy and no memory of connections to servers that died. It
// stays with the server that it asks: a standby may send it to another one.
var client = &http.Client{
	Timeout:       30 * time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask sends one request; an answer of any status is no error.
func (n *node) ask(method, path, token, namespace string, body, into any) (status int, err error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, n.addr+"/v1/"+path, sent)
	if err != nil {
		return 0, err
	}
	if token != "" {
		request.Header.Set("X-Vault-Token", token)
	}
	if namespace != "" {
		request.Header.Set("X-Vault-Namespace", namespace)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if into != nil && len(text) > 0 && response.Header.Get("Location") == "" {
		if err := json.Unmarshal(text, into); err != nil {
			return 0, fmt.Errorf("%s %s: %w in %s", method, path, err, text)
		}
	}
	return response.StatusCode, nil
}

// Answer is what the server said.
type Answer struct {
	Status int
	Data   map[string]any `json:"data"`
	Auth   map[string]any `json:"auth"`
	Wrap   map[string]any `json:"wrap_info"`
	Errors []string       `json:"errors"`
}

// Call sends one request with a token ("" for none) in the test's namespace.
// path is what follows /v1/.
func (s *Server) Call(token, method, path string, body any) Answer {
	s.t.Helper()
	var answer Answer
	status, err := s.node.ask(method, path, token, s.Namespace, body, &answer)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	answer.Status = status
	return answer
}

// Ask sends one request as root.
func (s *Server) Ask(method, path string, body any) Answer {
	s.t.Helper()
	return s.Call(s.root, method, path, body)
}

// Do sends one request as root, which must succeed, and returns its data.
func (s *Server) Do(method, path string, body any) map[string]any {
	s.t.Helper()
	answer := s.Ask(method, path, body)
	if answer.Status >= 300 {
		s.t.Fatalf("%s %s: %d %v", method, path, answer.Status, answer.Errors)
	}
	return answer.Data
}

// Token makes an orphan token with one policy of the given text. It stands for
// an operator or a service; no test needs the root token itself.
func (s *Server) Token(name, policy string) string {
	s.t.Helper()
	s.Do("PUT", "sys/policies/acl/"+name, map[string]any{"policy": policy})
	answer := s.Ask("POST", "auth/token/create-orphan", map[string]any{"policies": []string{name}})
	token, _ := answer.Auth["client_token"].(string)
	if token == "" {
		s.t.Fatalf("making a token: %d %v", answer.Status, answer.Errors)
	}
	return token
}

// Limit lets one request an hour through to some mounts of the test's
// namespace; every other one gets 429. lift ends it.
func (s *Server) Limit(mounts ...string) (lift func()) {
	s.t.Helper()
	root := &Server{t: s.t, node: s.node, root: s.root}
	quota := func(mount string) string {
		return "sys/quotas/rate-limit/" + strings.ReplaceAll(s.Namespace+"-"+mount, "/", "-")
	}
	for _, mount := range mounts {
		path := mount + "/"
		if s.Namespace != "" {
			path = s.Namespace + "/" + path
		}
		root.Do("POST", quota(mount), map[string]any{"path": path, "rate": 1, "interval": "1h"})
	}
	return func() {
		for _, mount := range mounts {
			root.Do("DELETE", quota(mount), nil)
		}
	}
}

// own refuses to disturb the server that other tests use too.
func (s *Server) own() {
	s.t.Helper()
	if s.node == sharedNode {
		s.t.Fatal("the shared server must not be sealed or stopped: use Start")
	}
}

// Seal seals the server: it runs and answers 503.
func (s *Server) Seal() {
	s.t.Helper()
	s.own()
	s.Do("PUT", "sys/seal", nil)
	if err := s.node.await("seal", func(status int) bool { return status == http.StatusServiceUnavailable }); err != nil {
		s.t.Fatal(err)
	}
}

// Unseal takes Seal back and waits until the server is active.
func (s *Server) Unseal() {
	s.t.Helper()
	s.own()
	if err := s.node.unseal(); err != nil {
		s.t.Fatal(err)
	}
}

// Stop kills the server: connections are refused.
func (s *Server) Stop() {
	s.t.Helper()
	s.own()
	s.node.kill()
}

// Restart starts the server again with what it had stored, and unseals it.
func (s *Server) Restart() {
	s.t.Helper()
	s.own()
	s.node.kill()
	bao, err := program()
	if err == nil {
		err = s.node.start(bao)
	}
	if err == nil {
		err = s.node.unseal()
	}
	if err != nil {
		s.t.Fatalf("restarting OpenBao: %v", err)
	}
}

// Join runs another server that belongs to the cluster of this one: a standby.
// Two servers have no majority once one of them is stopped.
func (s *Server) Join() *Server {
	s.t.Helper()
	s.own()
	n, err := newNode(s.t.TempDir(), "standby")
	if n != nil {
		s.t.Cleanup(n.kill)
	}
	if err != nil {
		s.t.Fatalf("starting a standby: %v", err)
	}
	n.key = s.node.key
	// The least time that a new server must have been there before it votes.
	s.Do("POST", "sys/storage/raft/autopilot/configuration", map[string]any{"server_stabilization_time": "1s"})
	if status, err := n.ask("POST", "sys/storage/raft/join", "", "", map[string]any{"leader_api_addr": s.Addr}, nil); err != nil || status != http.StatusOK {
		s.t.Fatalf("joining: %d, %v", status, err)
	}
	if _, err := n.ask("PUT", "sys/unseal", "", "", map[string]any{"key": n.key}, nil); err != nil {
		s.t.Fatalf("unsealing the standby: %v", err)
	}
	if err := n.await("stand by", func(status int) bool { return status == http.StatusTooManyRequests }); err != nil {
		s.t.Fatal(err)
	}
	s.awaitVoters(2)
	n.member = true
	return &Server{t: s.t, Addr: n.addr, node: n, root: s.root}
}

// awaitVoters waits until so many servers take part in the cluster's elections.
func (s *Server) awaitVoters(want int) {
	s.t.Helper()
	deadline := time.After(startTimeout)
	for {
		config, _ := s.Do("GET", "sys/storage/raft/configuration", nil)["config"].(map[string]any)
		servers, _ := config["servers"].([]any)
		voters := 0
		for _, server := range servers {
			if fields, _ := server.(map[string]any); fields["voter"] == true {
				voters++
			}
		}
		if voters >= want {
			return
		}
		select {
		case <-deadline:
			s.t.Fatalf("the cluster has %d voters, not %d", voters, want)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
