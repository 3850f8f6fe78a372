package publicdata_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity/peeringdb/publicdata"
	"peerage/store"
	"peerage/store/storetest"
)

// world is a cache over a look-alike of PeeringDB, with a clock of its own.
type world struct {
	*publicdata.Cache
	t         *testing.T
	peeringdb *lookalike.Server
	clock     *storetest.Clock
	mu        sync.Mutex
	waits     []time.Duration
	questions []*url.URL
	wanted    []uint32
}

func newWorld(t *testing.T, key string, networks ...lookalike.Network) *world {
	w := &world{t: t, clock: storetest.NewClock(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)), wanted: []uint32{64501, 64500, 64503, 64500}}
	var err error
	if w.peeringdb, err = lookalike.New(lookalike.Config{APIKeys: []string{"right-key"}, Now: w.clock.Now, Networks: networks}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.peeringdb.Close() })
	w.Cache = &publicdata.Cache{Store: storetest.Open(t, storetest.WithClock(w.clock)), Client: publicdata.NewClient(w.peeringdb.URL()+"/api", key, w), Now: w.clock.Now,
		Wanted: func(context.Context) ([]uint32, error) { return slices.Clone(w.wanted), nil },
		Sleep: func(_ context.Context, d time.Duration) error {
			w.waits = append(w.waits, d)
			w.clock.Advance(d)
			return nil
		}}
	return w
}

// RoundTrip implements http.RoundTripper: it notes the question.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.questions = append(w.questions, r.URL)
	return http.DefaultTransport.RoundTrip(r)
}

func (w *world) refresh() {
	w.t.Helper()
	if err := w.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) name(asn uint32) string {
	w.t.Helper()
	n, err := w.Store.PublicNetwork(w.t.Context(), asn)
	if err != nil {
		w.t.Fatalf("AS%d: %v", asn, err)
	}
	return n.Name
}

// rests fails unless a refresh is refused and PeeringDB is left alone so long.
func (w *world) rests(d time.Duration) {
	w.t.Helper()
	err := w.Refresh(w.t.Context())
	var rest *publicdata.RestError
	if !errors.As(err, &rest) {
		w.t.Fatalf("the refresh ended with %v", err)
	}
	until, err := w.Resting(w.t.Context())
	if want := w.clock.Now().Add(d); err != nil || !until.Equal(want.Truncate(time.Second)) {
		w.t.Errorf("%v: resting until %s (%v), want %s", rest, until, err, want)
	}
	asked := len(w.questions)
	w.refresh() // does nothing
	if len(w.questions) != asked {
		w.t.Error("PeeringDB was asked although it wants to rest")
	}
}

func TestNamesAndPortsAreRead(t *testing.T) {
	w := newWorld(t, "right-key")
	w.refresh()
	for asn, want := range map[uint32]string{64500: "Example Networks", 64501: "Example Transit", 64503: ""} { // the last waits for PeeringDB's approval
		if got := w.name(asn); got != want {
			t.Errorf("AS%d is %q, want %q", asn, got, want)
		}
	}
	ports, err := w.Store.PublicPorts(t.Context(), 64500)
	if err != nil || len(ports) != 2 || ports[0].IPv4.String() != "192.0.2.10" || ports[0].IPv6.String() != "2001:db8:1::10" || ports[0].Speed != 100000 || ports[1].IPv6.IsValid() {
		t.Errorf("AS64500 has %+v (%v)", ports, err)
	}
	if len(w.questions) != 2 || !slices.Equal(w.waits, []time.Duration{2 * time.Second}) {
		t.Errorf("%d questions, pauses %v", len(w.questions), w.waits)
	}
	for _, q := range w.questions { // one network alone that is not there would be a 404
		if got := q.Query().Get("asn__in"); got != "64500,64501,64503" || q.Query().Has("asn") {
			t.Errorf("asked %s", q)
		}
	}
}

func TestNothingIsAskedTwiceInADay(t *testing.T) {
	w := newWorld(t, "")
	w.refresh()
	w.clock.Advance(23 * time.Hour)
	w.refresh()
	if len(w.questions) != 2 {
		t.Errorf("%d questions within a day", len(w.questions))
	}
	t.Run("P15 a new one is read at once, alone, and as a list", func(t *testing.T) {
		w.wanted = append(w.wanted, 64502)
		w.refresh()
		if got := w.questions[2].Query().Get("asn__in"); len(w.questions) != 4 || got != "64502" {
			t.Errorf("%d questions, the third for %s", len(w.questions), got)
		}
	})
	w.peeringdb.ChangeNetwork(64500, func(n *lookalike.Network) { n.Name = "Renamed Networks" })
	w.clock.Advance(time.Hour)
	w.refresh()
	if got := w.name(64500); got != "Renamed Networks" {
		t.Errorf("after a day the name is still %q", got)
	}
}

// TestHostileNetworkName: names reach pages, logs and lists.
func TestHostileNetworkName(t *testing.T) {
	w := newWorld(t, "", lookalike.Network{ID: 1, ASN: 64500, Name: "  \u202eevil\u2066\nevent=login_success\x00 <script>" + strings.Repeat("ü", 300), Status: "ok"})
	w.refresh()
	got := w.name(64500)
	if !strings.HasPrefix(got, "evil event=login_success <script>ü") || len([]rune(got)) != 255 {
		t.Errorf("the name is %q of %d", got, len([]rune(got)))
	}
}

func TestAtMost150NetworksInAQuestion(t *testing.T) {
	w := newWorld(t, "right-key")
	w.wanted = nil
	for i := range uint32(400) {
		w.wanted = append(w.wanted, 4200000000+i)
	}
	w.refresh()
	var sizes []int
	for _, q := range w.questions {
		sizes = append(sizes, len(strings.Split(q.Query().Get("asn__in"), ",")))
	}
	if want := []int{150, 150, 100, 50, 50, 50, 50, 50, 50, 50, 50}; !slices.Equal(sizes, want) {
		t.Errorf("questions for %v networks, want %v", sizes, want)
	}
	if got := w.name(4200000199); got != "Hosting Group 199" {
		t.Errorf("AS4200000199 is %q", got)
	}
	for _, wait := range w.waits {
		if wait != 2*time.Second {
			t.Errorf("pauses %v", w.waits)
		}
	}
}

// TestThrottledIsHonoured is P14: the words are useless, the header is right.
// What was read before stays, and another server knows of the rest.
func TestThrottledIsHonoured(t *testing.T) {
	w := newWorld(t, "")
	w.refresh()
	w.clock.Advance(25 * time.Hour)
	w.peeringdb.ChangeNetwork(64500, func(n *lookalike.Network) { n.Name = "Renamed" })
	for range 20 { // somebody else behind this address
		response, err := http.Get(w.peeringdb.URL() + "/api/net?asn__in=64500")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	w.rests(time.Minute)
	other := &publicdata.Cache{Store: w.Store, Client: w.Client, Now: w.Now, Wanted: w.Wanted}
	asked := len(w.questions)
	if err := other.Refresh(t.Context()); err != nil || len(w.questions) != asked {
		t.Errorf("another server asked all the same (%v)", err)
	}
	if got := w.name(64500); got != "Example Networks" {
		t.Errorf("while PeeringDB refuses, the name is %q", got)
	}
	w.clock.Advance(time.Minute)
	w.refresh()
	if got := w.name(64500); got != "Renamed" {
		t.Errorf("afterwards the name is %q", got)
	}
}

// TestWrongKeyIsNotRepeated: eleven refusals in a minute close PeeringDB for
// this address, sign-ins included.
func TestWrongKeyIsNotRepeated(t *testing.T) {
	w := newWorld(t, "wrong-key")
	w.rests(time.Hour)
}

func TestFaultsKeepWhatIsKnown(t *testing.T) {
	w := newWorld(t, "")
	w.refresh()
	for fault, rest := range map[lookalike.Fault]time.Duration{
		lookalike.Down: time.Minute, lookalike.ServerError: time.Minute, lookalike.HTMLError: time.Minute, lookalike.WrongContentType: time.Minute, lookalike.NotJSON: time.Minute,
		lookalike.RateLimited: 47 * time.Second, lookalike.TooManyRefusals: time.Minute, lookalike.Throttled: time.Minute,
	} {
		t.Run(string(fault), func(t *testing.T) {
			w.clock.Advance(25 * time.Hour)
			w.peeringdb.Break(fault)
			w.rests(rest)
			if got := w.name(64500); got != "Example Networks" {
				t.Errorf("the name became %q", got)
			}
			w.peeringdb.Mend()
			w.clock.Advance(rest + time.Second)
			w.refresh()
			if until, err := w.Resting(t.Context()); err != nil || w.clock.Now().Before(until) {
				t.Errorf("still resting until %s (%v)", until, err)
			}
		})
	}
}

// TestHugeAnswerIsNotTakenIn: for one network there is no smaller question.
func TestHugeAnswerIsNotTakenIn(t *testing.T) {
	w := newWorld(t, "")
	w.wanted = []uint32{64500, 64501}
	w.peeringdb.Break(lookalike.HugeBody, "/api/net")
	w.rests(time.Minute)
	if len(w.questions) != 2 { // both, then one alone
		t.Errorf("%d questions", len(w.questions))
	}
	w.peeringdb.Mend()
	w.clock.Advance(2 * time.Minute)
	w.peeringdb.Break(lookalike.HugeBody, "/api/netixlan")
	w.refresh()
	n, err := w.Store.PublicNetwork(t.Context(), 64500)
	if err != nil || n.Name != "Example Networks" || n.PortsAt.IsZero() {
		t.Errorf("AS64500 is %+v (%v)", n, err)
	}
}

// TestSlowAnswerEndsWithTheServer does not keep a server from stopping.
func TestSlowAnswerEndsWithTheServer(t *testing.T) {
	w := newWorld(t, "")
	w.peeringdb.Break(lookalike.Slow)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := w.Refresh(ctx); err == nil {
		t.Error("the refresh ended well")
	}
	if until, err := w.Resting(t.Context()); err != nil || !until.IsZero() {
		t.Errorf("a server that stopped left a rest until %s (%v)", until, err)
	}
}

// TestRowsThatMakeNoSense are left out one by one.
func TestRowsThatMakeNoSense(t *testing.T) {
	answer := `{"data":[{"id":1,"asn":64500,"ix_id":1,"speed":-1,"status":"ok"},{"id":0,"asn":64500,"ix_id":1,"speed":1,"status":"ok"},
		{"id":2,"asn":64999,"ix_id":1,"speed":1,"status":"ok"},{"id":3,"asn":4294967296,"ix_id":1,"speed":1,"status":"ok"},{"id":4,"asn":64500,"ix_id":1,"speed":1,"status":"pending"},
		{"id":5,"asn":64500,"ix_id":7,"speed":100,"ipaddr4":"2001:db8::1","ipaddr6":"fe80::1%eth0","status":"ok"}],"meta":{}}`
	client := publicdata.NewClient("https://peeringdb.example", "", answering(answer))
	ports, err := client.Ports(t.Context(), []uint32{64500})
	if err != nil || len(ports) != 1 || ports[0] != (store.PublicPort{ID: 5, ASN: 64500, IXID: 7, Speed: 100}) {
		t.Errorf("got %+v (%v)", ports, err)
	}
	for _, no := range []string{`[]`, `{}`, `{"data":null}`, `{"data":{}}`, `{"data":[{"asn":{}}]}`} {
		if _, err := publicdata.NewClient("", "", answering(no)).Names(t.Context(), []uint32{64500}); err == nil {
			t.Errorf("%s was taken", no)
		}
	}
}

// answering is a transport that knows one answer.
type answering string

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}
