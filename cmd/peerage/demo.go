package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"peerage/demo"
	"peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/store"
)

type demoCommand struct {
	Data string `help:"Keep the demo's data in this directory; otherwise it goes away at the end." placeholder:"DIR"`
	JSON bool   `name:"json" help:"Print one JSON object instead of words."`
}

// demoListen is taken when it is free and nothing else is asked for.
const demoListen = "127.0.0.1:8080"

// Help implements kong.HelpProvider.
func (demoCommand) Help() string {
	return "A complete, seeded installation in one process on loopback: the real server, people, and a sample application that signs in through it. " +
		"It needs no settings and reads none from the environment; --listen 127.0.0.1:PORT chooses the port."
}

// Run shows the demo until ctx ends.
func (c demoCommand) Run(ctx context.Context, p *program) (err error) {
	dir := c.Data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "peerage-demo-"); err != nil {
			return fmt.Errorf("making a directory for the demo: %w", err)
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory for the demo's data: %w", err)
	}
	public, err := p.demoListener()
	if err != nil {
		return err
	}
	defer public.Close()
	sample, err := listenFree("127.0.0.1:8081")
	if err != nil {
		return err
	}
	defer sample.Close()
	run := &demoRun{program: p, dir: dir, public: public, sample: sample, json: c.JSON,
		issuer: "http://localhost:" + port(public), self: "http://127.0.0.1:" + port(sample), secret: identity.NewSecret()}
	return run.serve(ctx)
}

// demoListener listens where --listen says, on loopback alone: the demo's
// passwords are known to everybody.
func (p *program) demoListener() (net.Listener, error) {
	all := settings()
	asked, _ := p.flags.value(all[slices.IndexFunc(all, func(s setting) bool { return s.Name == "PEERAGE_LISTEN" })])
	if asked == nil {
		return listenFree(demoListen)
	}
	host, _, err := net.SplitHostPort(*asked)
	if err != nil {
		return nil, usagef("--listen %s: it must be of the form 127.0.0.1:8080", *asked)
	}
	if !isLoopback(host) {
		return nil, usagef("--listen %s: the demo listens on loopback only, for its passwords are known to everybody", *asked)
	}
	l, err := net.Listen("tcp", *asked)
	if err != nil {
		return nil, fmt.Errorf("listening for the demo: %w", err)
	}
	return l, nil
}

// listenFree prefers an address and takes any other port when it is busy.
func listenFree(preferred string) (net.Listener, error) {
	if l, err := net.Listen("tcp", preferred); err == nil {
		return l, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the demo: %w", err)
	}
	return l, nil
}

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// demoRun is one run of the demo.
type demoRun struct {
	*program
	dir            string
	public, sample net.Listener
	issuer, self   string
	secret         string // of the sample application, and ours at PeeringDB
	json           bool
	peeringdb      *peeringdb.Server
}

func (d *demoRun) serve(ctx context.Context) error {
	var err error
	if d.peeringdb, err = d.startPeeringDB(); err != nil {
		return err
	}
	defer d.peeringdb.Close()
	s, err := d.demoSettings()
	if err != nil {
		return err
	}
	log := newLogger(d.stderr, s)
	slog.SetDefault(slog.New(quietHandler{log.Handler()}))
	server, err := newServer(ctx, s, serverOptions{log: log, now: d.now})
	if err != nil {
		return err
	}
	defer func() {
		if err := server.close(); err != nil {
			log.Error("closing the store", "error", err)
		}
	}()
	people, err := server.seedDemo(ctx, d.peeringdb)
	if err != nil {
		return fmt.Errorf("making the people of the demo: %w", err)
	}
	app := demo.NewSampleApp(demo.SampleConfig{Issuer: d.issuer, ClientID: "sample", ClientSecret: d.secret, Self: d.self, People: people, Now: d.now, Logger: log})
	web := server.httpServer(app.Handler(), writeTimeout)
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(d.sample) }()
	defer web.Close()
	ops, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for operations: %w", err)
	}
	if err := d.announce(people, ops.Addr().String()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
			cancel(fmt.Errorf("serving the sample application: %w", err))
		}
	}()
	if err := server.serveOn(ctx, d.public, ops, nil); err != nil {
		return err
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// demoSettings are the demo's own: flags count, the environment does not.
func (d *demoRun) demoSettings() (Settings, error) {
	key, err := d.secretKey()
	if err != nil {
		return Settings{}, err
	}
	clients, err := json.Marshal(d.clients())
	if err != nil {
		return Settings{}, err
	}
	return readSettings(d.flags, append([]string{
		"PEERAGE_ISSUER=" + d.issuer, "PEERAGE_DATABASE=" + filepath.Join(d.dir, "peerage.db"), "PEERAGE_SECRET_KEY=" + key,
		"PEERAGE_CLIENTS=" + string(clients), "PEERAGE_BRAND_NAME=Example IX", "PEERAGE_SUPPORT_CONTACT=noc@example.net",
		"PEERAGE_LOG_LEVEL=warn", "PEERAGE_RATE_LIMIT=0", "PEERAGE_OPS_LISTEN=",
	}, d.peeringDBSettings()...))
}

// secretKey is kept beside the data, or made for one run.
func (d *demoRun) secretKey() (string, error) {
	path := filepath.Join(d.dir, "secret.key")
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	key := identity.NewSecret()
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keeping the demo's secret key: %w", err)
	}
	return key, nil
}

func (d *demoRun) clients() []map[string]any {
	return []map[string]any{{
		"client_id": "sample", "name": "Sample application", "description": "Shows what an application gets to know", "client_secret": d.secret,
		"redirect_uris": []string{d.self + "/callback"}, "post_logout_redirect_uris": []string{d.self + "/"}, "launch_uri": d.self + "/sign-in",
	}, {
		"client_id": "kubernetes", "name": "Kubernetes", "token_endpoint_auth_method": "none", "application_type": "native",
		"redirect_uris": []string{"http://localhost:8000", "http://localhost:18000"},
		"claims":        map[string]string{"groups": "both", "preferred_username": "both", "email": "both", "email_verified": "both"},
	}}
}

// demoPeople are who lives in the demo; Chiara's and Dario's networks come from
// PeeringDB.
var demoPeople = []struct {
	username, name, password, note string
	totp                           bool
	groups                         []string
}{
	{"ada", "Ada Example", "keeps-the-exchange-alive", "administrator, two factors", true, []string{"admins", "noc"}},
	{"bengt", "Bengt Berg", "two-factors-are-better", "member, two factors", true, []string{"noc"}},
	{"chiara", "Chiara Conti", "one-factor-is-not-enough", "member of AS64500 by PeeringDB, password only: add a second factor under Account", false, nil},
	{"dario", "Dario Díaz", "hums-along-the-backbone", "member of AS64501 by PeeringDB, password only", false, nil},
	{"emil", "Emil Eriksson", "waits-for-a-first-port", "no network and no group", false, nil},
}

// seedDemo makes the people that are not there yet and returns all of them.
func (s *server) seedDemo(ctx context.Context, pdb *peeringdb.Server) ([]demo.Person, error) {
	if err := s.directory.CreateGroup(ctx, "noc"); err != nil && !errors.Is(err, store.ErrExists) {
		return nil, err
	}
	if err := s.adoptLinks(ctx, pdb); err != nil {
		return nil, err
	}
	var people []demo.Person
	for _, seed := range demoPeople {
		u, err := s.directory.UserByName(ctx, seed.username)
		if err != nil {
			if u, err = s.directory.CreateUser(ctx, identity.NewUser{Username: seed.username, Name: seed.name, Email: seed.username + "@example.net",
				EmailVerified: true, Groups: seed.groups, Password: seed.password}); err != nil {
				return nil, err
			}
			if seed.totp {
				if err := s.enrolDemo(ctx, u); err != nil {
					return nil, err
				}
			}
			if err := s.linkDemo(ctx, pdb, u); err != nil {
				return nil, err
			}
			if u, err = s.directory.User(ctx, u.Sub); err != nil {
				return nil, err
			}
		}
		person := demo.Person{Username: u.Username, Password: seed.password, Groups: slices.Clone(u.Groups), Note: seed.note}
		if factor, err := s.store.TOTP(ctx, u.Sub); err == nil {
			person.TOTPSecret = string(factor.Secret)
		}
		people = append(people, person)
	}
	return people, nil
}

// enrolDemo gives a person a second factor as the pages would.
func (s *server) enrolDemo(ctx context.Context, u identity.User) error {
	if err := s.store.PutPendingTOTP(ctx, u.Sub, []byte(identity.NewTOTPSecret()), nil, identity.LinkLifetime); err != nil {
		return err
	}
	return s.store.ActivateTOTP(ctx, u.Sub, 0)
}

// announce says what there is to try.
func (d *demoRun) announce(people []demo.Person, ops string) error {
	if d.json {
		return json.NewEncoder(d.stdout).Encode(map[string]any{"issuer": d.issuer, "people": people, "clients": d.clients(),
			"sample_app": d.self, "operations": "http://" + ops, "peeringdb": d.peeringDBFacts(), "netbox": nil})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe demo of peerage is running.\n\n  Sample application  %s   begin here: it signs you in and shows the codes of now\n  Portal              %s\n  PeeringDB           %s   a look-alike: sign in with PeeringDB and choose who you are\n  Operations          http://%s/metrics\n\n", d.self, d.issuer, d.peeringdb.URL(), ops)
	for _, person := range people {
		second := "no second factor"
		if person.TOTPSecret != "" {
			second = "code on the sample application's page"
		}
		fmt.Fprintf(&b, "  %-8s %-26s %-38s %s\n", person.Username, person.Password, second, person.Note)
	}
	b.WriteString("\nTry: open the sample application, sign in as ada with the code shown there, allow it, sign out.\n")
	if dir := d.dir; strings.HasPrefix(filepath.Base(dir), "peerage-demo-") {
		b.WriteString("Everything goes away at the end; --data DIR keeps it. ")
	}
	b.WriteString("Ctrl-C ends the demo.\n\n")
	_, err := fmt.Fprint(d.stdout, b.String())
	return err
}
