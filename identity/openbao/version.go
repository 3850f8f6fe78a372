package openbao

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"peerage/identity"
)

// leastVersion is the first without the faults that let anybody past lockout
// and second factor: CVE-2025-54998, CVE-2025-54999, CVE-2025-55000 and
// CVE-2025-55003.
var leastVersion = []int{2, 3, 2}

var versionShape = regexp.MustCompile(`^v?([0-9]+)\.([0-9]+)\.([0-9]+)(-[0-9A-Za-z.-]+)?(\+.*)?$`)

// checkVersion refuses versions that are known to be broken.
func checkVersion(version string) error {
	m := versionShape.FindStringSubmatch(version)
	if m == nil {
		return fmt.Errorf("the server's version %q cannot be read", version)
	}
	var numbers []int
	for _, text := range m[1:4] {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("the server's version %q cannot be read", version)
		}
		numbers = append(numbers, n)
	}
	order := slices.Compare(numbers, leastVersion)
	if order < 0 || order == 0 && m[4] != "" {
		return fmt.Errorf("OpenBao %s lets people past its lockout and second factor (CVE-2025-54998, CVE-2025-54999, CVE-2025-55000, CVE-2025-55003): update to 2.3.2 or later", version)
	}
	return nil
}

// health asks whether the server can work, and for its version. ahead is how
// far our clock is at least ahead of the server's, negative when it is behind:
// the server tells whole seconds, and the answer takes its time.
func (c *Client) health(ctx context.Context) (version string, ahead time.Duration, err error) {
	var says struct {
		Initialized bool   `json:"initialized"`
		Sealed      bool   `json:"sealed"`
		Version     string `json:"version"`
		Time        int64  `json:"server_time_utc"` // seconds
	}
	begun := c.leader.clock()
	got, err := c.do(ctx, request{operation: "health", method: "GET", path: at("sys/health"), root: true})
	if err == nil {
		err = got.decode(&says)
	}
	if says.Time > 0 {
		theirs := time.Unix(says.Time, 0)
		ahead = max(0, begun.Sub(theirs.Add(time.Second))) + min(0, c.leader.clock().Sub(theirs))
	}
	switch {
	case err != nil:
	case !says.Initialized:
		err = &Error{Operation: "health", Kind: identity.ErrUnavailable, Reason: "not initialised: run bao operator init"}
	case says.Sealed:
		err = &Error{Operation: "health", Kind: identity.ErrUnavailable, Reason: "sealed"}
	}
	return says.Version, ahead, err
}

// Answers tells whether there is a server that can work.
func (c *Client) Answers(ctx context.Context) error {
	_, _, err := c.health(ctx)
	return err
}

// capability is what somebody must be allowed to do to a path.
type capability struct {
	path  string
	needs []string
}

// missing asks a token which of the capabilities it lacks, as lines such as
// "update on sys/auth/userpass".
func (c *Client) missing(ctx context.Context, token string, wanted []capability) (lacks []string, err error) {
	var paths []string
	for _, w := range wanted {
		paths = append(paths, w.path)
	}
	has := map[string][]string{}
	got, err := c.do(ctx, request{operation: "capabilities", method: "POST", path: at("sys/capabilities-self"), token: token, body: map[string]any{"paths": paths}})
	if err == nil {
		err = got.decode(&has)
	}
	if errors.Is(err, ErrForbidden) {
		return nil, &Error{Operation: "capabilities", Kind: ErrForbidden, Reason: "the token is wrong or has ended"}
	}
	if err != nil {
		return nil, err
	}
	for _, w := range wanted {
		for _, need := range w.needs {
			if !slices.Contains(has[w.path], need) && !slices.Contains(has[w.path], "root") {
				lacks = append(lacks, need+" on "+w.path)
			}
		}
	}
	return lacks, nil
}
