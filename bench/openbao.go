package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"
)

// openBao is a running OpenBao of one node with integrated storage, as an
// exchange runs it: the development mode slows down with every token.
type openBao struct {
	Address string // host and port
	Token   string // the service credential
	Method  string // of TOTP
	root    string
	cmd     *exec.Cmd
}

// startOpenBao starts, initialises and unseals one, and has the binary under
// test set it up.
func startOpenBao(ctx context.Context, dir string, o options) (*openBao, error) {
	program, err := filepath.Abs(o.bao)
	if err != nil {
		return nil, err
	}
	b := &openBao{}
	if b.Address, err = freeAddress(); err != nil {
		return nil, err
	}
	cluster, err := freeAddress()
	if err != nil {
		return nil, err
	}
	storage := filepath.Join(dir, "openbao")
	if err := os.Mkdir(storage, 0o700); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("storage \"raft\" {\n  path = %q\n  node_id = \"bench\"\n  performance_multiplier = \"1\"\n}\nlistener \"tcp\" {\n  address = %q\n  tls_disable = true\n}\napi_addr = %q\ncluster_addr = %q\nlog_level = \"error\"\n",
		storage, b.Address, "http://"+b.Address, "https://"+cluster)
	path := filepath.Join(dir, "openbao.hcl")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	b.cmd = exec.CommandContext(ctx, program, "server", "-config="+path)
	b.cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting OpenBao (scripts/test-servers openbao installs it): %w", err)
	}
	err = b.unseal(ctx)
	if err == nil {
		err = b.bootstrap(ctx, o.binary, dir)
	}
	if err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (b *openBao) stop() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait() // it ends by our signal
}

func (b *openBao) unseal(ctx context.Context) error {
	if err := b.await(ctx, http.StatusNotImplemented); err != nil {
		return err
	}
	var made struct {
		Keys []string `json:"keys"`
		Root string   `json:"root_token"`
	}
	if err := b.call(ctx, "PUT", "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &made); err != nil {
		return err
	}
	if b.root = made.Root; len(made.Keys) != 1 {
		return errors.New("OpenBao gave no key")
	}
	if err := b.call(ctx, "PUT", "sys/unseal", map[string]any{"key": made.Keys[0]}, nil); err != nil {
		return err
	}
	return b.await(ctx, http.StatusOK)
}

// await polls the server's health.
func (b *openBao) await(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get("http://" + b.Address + "/v1/sys/health")
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == want {
			return nil
		}
	}
	return fmt.Errorf("OpenBao's health is not %d", want)
}

// call sends a request as root; into receives the whole answer.
func (b *openBao) call(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+b.Address+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("X-Vault-Token", b.root)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("OpenBao: %s %s: %s %s", method, path, response.Status, text)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	return err
}

// bootstrap has the binary make policies, mount, method and credential.
func (b *openBao) bootstrap(ctx context.Context, binary, dir string) error {
	cmd := exec.CommandContext(ctx, binary, "openbao", "bootstrap", "--json")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "BAO_ADDR=http://" + b.Address, "BAO_TOKEN=" + b.root}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var made struct {
		Token    string `json:"token"`
		MethodID string `json:"mfa_method_id"`
	}
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	if err == nil && (made.Token == "" || made.MethodID == "") {
		err = errors.New("no credential")
	}
	if err != nil {
		return fmt.Errorf("bootstrap of OpenBao: %w", err)
	}
	b.Token, b.Method = made.Token, made.MethodID
	return nil
}

// defaultCost is that of OpenBao's userpass.
const defaultCost = 10

// people makes so many, all with one password.
func (b *openBao) people(ctx context.Context, n int) ([]signer, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), defaultCost)
	if err != nil {
		return nil, err
	}
	var mount struct {
		Accessor string `json:"accessor"`
	}
	if err := b.call(ctx, "GET", "sys/auth/userpass", nil, &mount); err != nil {
		return nil, err
	}
	all := make([]signer, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i := range all {
		group.Go(func() (err error) {
			all[i], err = b.person(ctx, fmt.Sprint("signer", i), string(hash), mount.Accessor)
			return err
		})
	}
	return all, group.Wait()
}

func (b *openBao) person(ctx context.Context, name, hash, accessor string) (signer, error) {
	s := signer{Name: name}
	var entity struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	var made struct {
		Data struct {
			URL string `json:"url"`
		} `json:"data"`
	}
	err := b.call(ctx, "POST", "auth/userpass/users/"+name, map[string]any{"password_hash": hash, "token_policies": []string{"portal-user"}}, nil)
	if err == nil {
		err = b.call(ctx, "POST", "identity/entity/name/"+name, map[string]any{"metadata": map[string]string{"name": "Ada Example", "email": name + "@example.net"}}, &entity)
		s.Entity = entity.Data.ID
	}
	if err == nil {
		err = b.call(ctx, "POST", "identity/entity-alias", map[string]any{"name": name, "mount_accessor": accessor, "canonical_id": s.Entity}, nil)
	}
	if err == nil {
		err = b.call(ctx, "POST", "identity/mfa/method/totp/admin-generate", map[string]any{"method_id": b.Method, "entity_id": s.Entity}, &made)
	}
	if err == nil {
		err = b.call(ctx, "POST", "identity/mfa/login-enforcement/totp-"+s.Entity, map[string]any{"mfa_method_ids": []string{b.Method}, "identity_entity_ids": []string{s.Entity}}, nil)
	}
	if err != nil {
		return s, err
	}
	address, err := url.Parse(made.Data.URL)
	if err == nil {
		s.Secret = address.Query().Get("secret")
	}
	return s, err
}

// env are peerage's settings for it, reached at an address.
func (b *openBao) env(address string) []string {
	return []string{"BAO_ADDR=http://" + address, "PEERAGE_BAO_TOKEN=" + b.Token, "PEERAGE_BAO_EMAIL_VERIFIED=true"}
}
