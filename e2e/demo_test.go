package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demonstration is one running `peerage demo --json`.
type demonstration struct {
	Issuer string `json:"issuer"`
	People []struct {
		Username   string   `json:"username"`
		Password   string   `json:"password"`
		TOTPSecret string   `json:"totp_secret"`
		Groups     []string `json:"groups"`
	} `json:"people"`
	Clients   []map[string]any `json:"clients"`
	SampleApp string           `json:"sample_app"`
	PeeringDB struct {
		URL    string `json:"url"`
		People []struct {
			Username string   `json:"username"`
			Networks []string `json:"networks"`
		} `json:"people"`
	} `json:"peeringdb"`
	NetBox any `json:"netbox"`

	cmd  *exec.Cmd
	temp string // TMPDIR of the process
}

// startDemo starts the demo on a free port and reads its first line.
func startDemo(t *testing.T) *demonstration {
	t.Helper()
	address := freeAddress(t)
	d := &demonstration{temp: t.TempDir()}
	d.cmd = exec.Command(binary, "demo", "--json", "--listen", address)
	// Settings in the environment are not the demo's.
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + d.temp, "PEERAGE_ISSUER=https://id.example.net", "PEERAGE_BACKEND=none"}
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log := &lockedBuffer{}
	d.cmd.Stderr = log
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := d.cmd.Start(); err != nil {
		t.Fatalf("starting the demo: %v", err)
	}
	t.Cleanup(func() {
		d.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("log of the demo:\n%s", log.tail(8000))
		}
	})
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
	}()
	select {
	case line := <-lines:
		if err := json.Unmarshal([]byte(line), d); err != nil {
			t.Fatalf("the demo's first line is %q: %v", line, err)
		}
	case <-time.After(pageDeadline):
		t.Fatal("the demo does not come up")
	}
	t.Logf("the demo came up in %v", time.Since(begun).Round(time.Millisecond))
	if _, port, _ := net.SplitHostPort(address); d.Issuer != "http://localhost:"+port {
		t.Errorf("the issuer is %s, asked was %s", d.Issuer, address)
	}
	return d
}

func TestDemo(t *testing.T) {
	once(t)
	d := startDemo(t)
	if len(d.People) != 5 || len(d.PeeringDB.People) < 10 || !strings.HasPrefix(d.PeeringDB.URL, "http://127.0.0.1:") || d.NetBox != nil || len(d.Clients) == 0 || !strings.HasPrefix(d.SampleApp, "http://127.0.0.1:") {
		t.Fatalf("the demo has %+v", d)
	}
	ctx := newBrowser(t)
	claims := d.signInAt(ctx, t, "ada", true)
	for _, want := range []string{`"preferred_username": "ada"`, `"admins"`, `"email": "ada@example.net"`, `"acr": "2"`} {
		if !strings.Contains(claims, want) {
			t.Errorf("the application does not know %s of ada:\n%s", want, claims)
		}
	}
	click(ctx, t, `form[action="/refresh"] button`)
	waitTitle(ctx, t, "Signed in as Ada Example")
	click(ctx, t, `form[action="/sign-out"] button`)
	waitURL(ctx, t, d.SampleApp+"/")
	waitTitle(ctx, t, "Not signed in")

	claims = d.signInAt(ctx, t, "chiara", false)
	if !strings.Contains(claims, `"acr": "1"`) || strings.Contains(claims, "admins") || !strings.Contains(claims, `"as64500"`) {
		t.Errorf("the application knows of chiara:\n%s", claims)
	}
	// The portal's list opens the application, which finds its person at once.
	visit(ctx, t, d.Issuer+"/")
	waitTitle(ctx, t, "Good to see you, Chiara")
	click(ctx, t, "a.card")
	waitURL(ctx, t, d.SampleApp+"/")
	waitTitle(ctx, t, "Signed in as Chiara Conti")

	// Somebody who was never here signs up by PeeringDB.
	forget(ctx, t)
	visit(ctx, t, d.SampleApp+"/")
	click(ctx, t, `form[action="/sign-in"] button`)
	throughPeeringDB(ctx, t, d.PeeringDB.URL, "carol")
	waitTitle(ctx, t, "Allow Sample application")
	press(ctx, t, "decision", "allow")
	waitTitle(ctx, t, "Signed in as Carol Several")
	shows(ctx, t, `"as64500"`, `"as64501"`, `"as64502"`)

	g := newGallery(ctx, t)
	g.dir = "" // codes and times: its picture would never be the same
	g.look(ctx, t, "sample-application")
	d.end(t)
}

// signInAt signs a person in at the sample application, for the first time,
// and returns what it then shows.
func (d *demonstration) signInAt(ctx context.Context, t *testing.T, name string, twoFactors bool) string {
	t.Helper()
	visit(ctx, t, d.SampleApp+"/")
	waitTitle(ctx, t, "Not signed in")
	for _, p := range d.People {
		if p.Username != name {
			continue
		}
		if (p.TOTPSecret != "") != twoFactors {
			t.Errorf("the secret of %s is %q", name, p.TOTPSecret)
		}
		click(ctx, t, `form[action="/sign-in"] button`)
		waitTitle(ctx, t, "Sign in")
		shows(ctx, t, "Sample application")
		fill(ctx, t, "username", name)
		fill(ctx, t, "password", p.Password)
		press(ctx, t, "", "")
		if twoFactors {
			waitTitle(ctx, t, "Enter your code")
			fill(ctx, t, "code", (&authenticator{secret: p.TOTPSecret}).code(t))
			press(ctx, t, "", "")
		}
	}
	waitTitle(ctx, t, "Allow Sample application")
	press(ctx, t, "decision", "allow")
	waitURL(ctx, t, d.SampleApp+"/")
	waitTitle(ctx, t, "Signed in as")
	return bodyText(ctx)
}

// end presses Ctrl-C while a browser still holds connections.
func (d *demonstration) end(t *testing.T) {
	t.Helper()
	begun := time.Now()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	case <-time.After(pageDeadline):
		t.Fatal("the demo does not end")
	}
	t.Logf("the demo ended in %v", time.Since(begun).Round(time.Millisecond))
	if left, err := filepath.Glob(filepath.Join(d.temp, "*")); err != nil || len(left) != 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
}

// Two demos run side by side: whoever comes second takes other ports.
func TestDemosSideBySide(t *testing.T) {
	once(t)
	one, two := startDemo(t), startDemo(t)
	if one.SampleApp == two.SampleApp || one.PeeringDB.URL == two.PeeringDB.URL {
		t.Errorf("both have their application at %s, or PeeringDB at %s", one.SampleApp, one.PeeringDB.URL)
	}
	one.end(t)
	two.end(t)
}

func TestDemoStaysOnLoopback(t *testing.T) {
	once(t)
	for _, address := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:8080", "example.net:8080"} {
		cmd := exec.Command(binary, "demo", "--json", "--listen", address)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
		ctx, cancel := context.WithTimeout(t.Context(), pageDeadline)
		defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
		defer cancel()
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "loopback") {
			t.Errorf("demo --listen %s: %v\n%s", address, err, out)
		}
		if left, _ := filepath.Glob(filepath.Join(cmd.Env[2][len("TMPDIR="):], "*")); len(left) != 0 {
			t.Errorf("demo --listen %s left %v behind", address, left)
		}
	}
}
