package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/store"
)

// countedSignIns are how many the requests to OpenBao are counted over.
const countedSignIns = 8

// thinks is the time that a person takes for the code.
const thinks = 2 * time.Second

// runOpenBao measures sign-ins of people who live in OpenBao against what
// OpenBao does by itself, in turns, and what others feel of them meanwhile.
func runOpenBao(ctx context.Context, dir string, o options) error {
	b, err := startOpenBao(ctx, dir, o)
	if err != nil {
		return err
	}
	defer b.stop()
	// Nobody's code may come twice: each measurement has people of its own.
	each, err := enough(o)
	if err != nil {
		return err
	}
	people, err := b.people(ctx, 5*each+4*countedSignIns+active)
	if err != nil {
		return fmt.Errorf("making people: %w", err)
	}
	take := func(n int) []signer {
		some := people[:n]
		people = people[n:]
		return some
	}
	w, err := seedOpenBao(ctx, dir, take(active))
	if err != nil {
		return fmt.Errorf("seeding: %w", err)
	}
	w.Method = b.Method
	fmt.Printf("OpenBao with integrated storage on one node, bcrypt cost %d, people with TOTP; %d at a time\n\n", defaultCost, o.workers)
	if err := countRequests(ctx, w, b, o, take); err != nil {
		return err
	}
	w.Env = b.env(b.Address)
	s, err := startServer(ctx, w, o.binary)
	if err != nil {
		return err
	}
	defer s.stop()
	var direct, through measured
	cpu := s.cpu()
	for range 2 {
		m, err := drive(ctx, w, scenarioDirect, b.Address, take(each), o)
		if err != nil {
			return err
		}
		direct = direct.plus(m)
		profiled := s.profile(o, scenarioSignIn)
		if m, err = drive(ctx, w, scenarioSignIn, s.Address, take(each), o); err != nil {
			return err
		}
		through = through.plus(m)
		if err := <-profiled; err != nil {
			return err
		}
	}
	cpu = s.cpu() - cpu
	fmt.Println("| | per second | p50 | p99 | peerage's CPU | aim |\n|---|--:|--:|--:|--:|---|")
	fmt.Printf("| %s | %.1f | %s | %s | | |\n", scenarioDirect, direct.rate(), short(direct.P50), short(direct.P99))
	fmt.Printf("| %s | %.1f | %s | %s | %s | %.2f of OpenBao's own, aim 0.95 |\n", scenarioSignIn, through.rate(), short(through.P50), short(through.P99),
		(cpu / time.Duration(through.Rounds)).Round(10*time.Microsecond), through.rate()/direct.rate())
	late, err := beside(ctx, w, s, take(each), o)
	if late += through.Late; err == nil && late > 0 {
		fmt.Printf("\n%d more sign-ins were told to come back: OpenBao took longer than peerage waits\n", late)
	}
	return err
}

// enough is how many people one measurement takes, as fast as this machine
// compares passwords: each has two codes at once, and another one every half
// minute.
func enough(o options) (int, error) {
	fastest := time.Hour
	for range 3 {
		begun := time.Now()
		if _, err := bcrypt.GenerateFromPassword([]byte(password), defaultCost); err != nil {
			return 0, err
		}
		fastest = min(fastest, time.Since(begun))
	}
	signIns := float64(runtime.NumCPU()) * o.seconds.Seconds() / fastest.Seconds()
	codes := 2 + int(o.seconds.Seconds())/totpStep
	return int(signIns)/codes + o.workers, nil
}

// drive runs one scenario with people of its own.
func drive(ctx context.Context, w *world, name, address string, people []signer, o options) (measured, error) {
	own := *w
	own.Signers, own.SignerWorkers = people, o.workers
	l, err := startLoad(ctx, job{Scenario: name, World: own, Address: address, Time: o.seconds, Workers: o.workers})
	if err == nil {
		err = l.begin()
	}
	if err != nil {
		return measured{}, err
	}
	m, err := l.finish()
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return m, err
}

// beside measures what people who are signed in feel while others sign in as
// fast as they can. They have been here a moment ago.
func beside(ctx context.Context, w *world, s *server, people []signer, o options) (late int, err error) {
	known := o
	known.seconds, known.workers = time.Second, 2
	if _, err := drive(ctx, w, "userinfo", s.Address, nil, known); err != nil {
		return 0, err
	}
	var loads []*load
	own := *w
	own.Signers, own.SignerWorkers = people, o.workers
	for _, j := range []job{
		{Scenario: scenarioSignIn, World: own, Workers: o.workers},
		{Scenario: "userinfo", World: *w, Workers: 2, Pause: walkingPace},
		{Scenario: "refresh ES256", World: *w, Workers: 1, Pause: walkingPace},
	} {
		j.Address, j.Time = s.Address, o.seconds
		l, err := startLoad(ctx, j)
		if err != nil {
			return 0, err
		}
		loads = append(loads, l)
	}
	for _, l := range loads {
		if err := l.begin(); err != nil {
			return 0, err
		}
	}
	for i, name := range []string{"sign-ins with both below", "– UserInfo meanwhile", "– token endpoint (refresh) meanwhile"} {
		m, err := loads[i].finish()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		late += m.Late
		aim := "p99 < 20 ms"
		if i == 0 {
			aim = ""
		}
		fmt.Printf("| %s | %.1f | %s | %s | | %s |\n", name, m.rate(), short(m.P50), short(m.P99), aim)
	}
	return late, nil
}

// countRequests counts what one sign-in asks of OpenBao, with caches warm: one
// after the other, the code at once and after a person's pause.
func countRequests(ctx context.Context, w *world, b *openBao, o options, take func(int) []signer) error {
	front, address, err := startCounting(b.Address)
	if err != nil {
		return err
	}
	defer front.stop()
	counted := *w
	counted.Env = b.env(address)
	s, err := startServer(ctx, &counted, o.binary)
	if err != nil {
		return err
	}
	defer s.stop()
	for _, c := range []struct {
		how    string
		thinks time.Duration
		n      int
	}{{"", 0, countedSignIns}, {"the code at once", 0, countedSignIns}, {fmt.Sprintf("the code after %s", thinks), thinks, countedSignIns / 2}} {
		counted.Thinks = c.thinks
		own := o
		own.workers, own.seconds = 1, time.Minute
		front.take()
		m, err := drive(ctx, &counted, scenarioSignIn, s.Address, take(c.n), own)
		if err != nil {
			return err
		}
		seen := front.take()
		if c.how == "" {
			continue // that one warmed the caches
		}
		total := 0
		var list []string
		for _, name := range slices.Sorted(maps.Keys(seen)) {
			total += seen[name]
			list = append(list, fmt.Sprintf("%s %.1f", name, float64(seen[name])/float64(m.Rounds)))
		}
		fmt.Printf("requests to OpenBao for a sign-in with password and code, %s: %.1f (aim 3): %s\n", c.how, float64(total)/float64(m.Rounds), strings.Join(list, ", "))
	}
	fmt.Println()
	return nil
}

// seedOpenBao makes a database with people of OpenBao who are signed in and
// hold tokens.
func seedOpenBao(ctx context.Context, dir string, people []signer) (*world, error) {
	w := &world{Database: filepath.Join(dir, "bench-openbao.db")}
	s, err := store.Open(ctx, store.Options{Database: w.Database, Create: true, SecretKey: []byte(secretKey)})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if _, err := s.Migrate(ctx); err != nil {
		return nil, err
	}
	for _, p := range people {
		session := identity.NewSecret()
		if err := s.CreateUser(ctx, store.User{Sub: p.Entity, Origin: openbao.Origin, Username: p.Name, Name: "Ada Example"}, "", nil); err != nil {
			return nil, err
		}
		if err := signedIn(ctx, s, p.Entity, session, identity.ACRTwoFactors, "pwd", "otp", "mfa"); err != nil {
			return nil, err
		}
		if err := w.hold(ctx, s, p.Entity, session); err != nil {
			return nil, err
		}
	}
	return w, nil
}
