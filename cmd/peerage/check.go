package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"peerage/identity"
	"peerage/portal"
	"peerage/store"
)

type checkCommand struct{}

// finding is one line of the check.
type finding struct {
	Name string
	Word string // ok, off, warning or failed
	Text string // what was found, and what to do
}

// Run reads the settings and tries every connection. It changes nothing.
func (checkCommand) Run(ctx context.Context, p *program) error {
	s, err := p.settings("PEERAGE_ISSUER", "PEERAGE_SECRET_KEY")
	if err != nil {
		return err
	}
	findings := []finding{{"settings", readyOK, fmt.Sprintf("%d given, issuer %s", len(s.given), s.Issuer)}, checkPages(s, p.now), checkTLS(s, p.now())}
	findings = append(findings, checkStore(ctx, s, p)...)
	findings = append(findings, checkMail(ctx, s))
	findings = append(findings, checkOpenBao(ctx, s)...)
	findings = append(findings, checkPeeringDB(ctx, s)...)
	findings = append(findings, finding{"netbox", readyOff, "not built into this version"})
	findings = append(findings, checkTraces(ctx, s.traces))
	var rows [][]string
	failed := false
	for _, f := range findings {
		rows = append(rows, []string{f.Name, f.Word, f.Text})
		failed = failed || f.Word == "failed"
	}
	if err := printTable(p.stdout, []string{"PART", "STATE", "WHAT"}, rows); err != nil {
		return err
	}
	if failed {
		return errTold
	}
	return nil
}

func checkPages(s Settings, now func() time.Time) finding {
	if _, err := portal.NewRenderer(s.brand(), now); err != nil {
		return finding{"pages", "failed", err.Error()}
	}
	if s.SupportContact == "" {
		return finding{"pages", "warning", "error pages name nobody to ask; set PEERAGE_SUPPORT_CONTACT"}
	}
	return finding{"pages", readyOK, "error pages send people to " + s.SupportContact}
}

// soon is when a certificate that ends should be renewed by now.
const soon = 7 * 24 * time.Hour

func checkTLS(s Settings, now time.Time) finding {
	issuer, err := url.Parse(s.Issuer)
	if err != nil {
		return finding{"tls", "failed", err.Error()}
	}
	if s.TLSCert == "" {
		if issuer.Scheme == "https" {
			return finding{"tls", readyOff, "a proxy in front must serve " + s.Issuer + " and be named in PEERAGE_TRUSTED_PROXIES"}
		}
		return finding{"tls", readyOff, "the issuer is on this machine only"}
	}
	pair, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
	if err != nil {
		return finding{"tls", "failed", err.Error() + "; correct PEERAGE_TLS_CERT and PEERAGE_TLS_KEY"}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return finding{"tls", "failed", err.Error()}
	}
	until := leaf.NotAfter.UTC().Format("2006-01-02")
	switch {
	case leaf.VerifyHostname(issuer.Hostname()) != nil:
		return finding{"tls", "failed", fmt.Sprintf("the certificate is for %s and not for %s", strings.Join(leaf.DNSNames, ", "), issuer.Hostname())}
	case now.After(leaf.NotAfter):
		return finding{"tls", "failed", "the certificate ended on " + until + "; renew it"}
	case now.Add(soon).After(leaf.NotAfter):
		return finding{"tls", "warning", "the certificate ends on " + until + "; renew it"}
	}
	return finding{"tls", readyOK, "certificate until " + until}
}

// maxSkew is how far in the future an event may lie, and how far another
// server's clock may differ, before the clock is doubted.
const maxSkew = 5 * time.Second

func checkStore(ctx context.Context, s Settings, p *program) []finding {
	failed := func(err error) []finding { return []finding{{"store", "failed", err.Error()}} }
	st, err := openStore(ctx, s, p.commandLogger(s), p.now)
	if err != nil {
		return failed(err)
	}
	defer st.Close()
	_, err = st.Setting(ctx, "secret_key_probe")
	switch {
	case err == nil:
		err = st.CheckSecretKey(ctx)
	case errors.Is(err, store.ErrNotFound): // no server was here yet, perhaps a command that kept a key
		_, err = st.SigningKeys(ctx)
	}
	if err != nil {
		return failed(err)
	}
	version, err := st.SchemaVersion(ctx)
	if err != nil {
		return failed(err)
	}
	events, err := st.Events(ctx, store.EventFilter{Limit: 1})
	if err != nil {
		return failed(err)
	}
	findings := []finding{{"store", readyOK, fmt.Sprintf("%s, schema %d", s.databaseName(), version)}, checkAdmin(ctx, st, s, p)}
	clock := finding{"clock", readyOK, "not behind the newest event"}
	if s.BaoAddr == "" {
		clock.Text += "; there is no other server to compare with"
	}
	if len(events) > 0 && events[0].Time.Sub(p.now()) > maxSkew {
		clock = finding{"clock", "failed", fmt.Sprintf("the newest event is of %s and now is %s; set the clock of this machine (NTP)", events[0].Time.UTC().Format(time.RFC3339), p.now().UTC().Format(time.RFC3339))}
	}
	findings = append(findings, clock)
	findings = append(findings, checkProxies(ctx, st, s, p.now())...)
	return append(findings, checkGroups(ctx, st)...)
}

// checkProxies finds a proxy that the settings do not name: all its people
// share one limit, and events hold its address instead of theirs.
func checkProxies(ctx context.Context, st *store.Store, s Settings, now time.Time) []finding {
	peer, at, err := portal.Claim(ctx, st)
	if err != nil {
		return []finding{{"proxy", "failed", err.Error()}}
	}
	trusted := slices.ContainsFunc(s.TrustedProxies, func(n netip.Prefix) bool { return n.Contains(peer) })
	if !peer.IsValid() || trusted || now.Sub(at) > 24*time.Hour {
		return nil
	}
	return []finding{{"proxy", "warning", fmt.Sprintf("at %s a forwarding header came from %s, which is no trusted proxy, and counted nothing; if it is yours, name it in PEERAGE_TRUSTED_PROXIES", shownTime(at), peer)}}
}

// checkGroups finds local groups that look like networks: they are kept from
// tokens, which whoever relies on them should know.
func checkGroups(ctx context.Context, st *store.Store) []finding {
	groups, err := st.Groups(ctx)
	if err != nil {
		return []finding{{"groups", "failed", err.Error()}}
	}
	var hidden []string
	for _, g := range groups {
		if len(identity.Emittable([]string{g.Name})) == 0 {
			hidden = append(hidden, g.Name)
		}
	}
	if len(hidden) == 0 {
		return nil
	}
	return []finding{{"groups", "warning", "no application ever sees " + strings.Join(hidden, ", ") + ": such names are kept for networks; peerage user affiliation add NAME ASN gives one by hand"}}
}

func checkAdmin(ctx context.Context, st *store.Store, s Settings, p *program) finding {
	in, err := newInstallation(s, st, p.commandLogger(s), p.now, nil)
	if err != nil {
		return finding{"administrator", "failed", err.Error()}
	}
	defer in.rest()
	has, err := in.directory.HasAdmin(ctx)
	switch {
	case errors.Is(err, identity.ErrUnavailable):
		return finding{"administrator", "warning", "OpenBao does not say who is in the group " + s.AdminGroup + ": " + err.Error()}
	case err != nil:
		return finding{"administrator", "failed", err.Error()}
	case !has && s.Backend == backendOpenBao:
		return finding{"administrator", "warning", "there is none; put somebody into OpenBao's group " + s.AdminGroup + " (bao write identity/group/name/" + s.AdminGroup + " member_entity_ids=ID), or make a way in beside it: peerage user create NAME --local --group " + shellWord(s.AdminGroup) + " --password-stdin"}
	case !has:
		return finding{"administrator", "warning", "there is none; peerage user create NAME --group " + shellWord(s.AdminGroup) + " --password-stdin makes one"}
	}
	return finding{"administrator", readyOK, "somebody is in the group " + s.AdminGroup}
}
