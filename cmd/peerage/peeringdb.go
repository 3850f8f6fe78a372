package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"peerage/identity"
	"peerage/identity/peeringdb"
	"peerage/identity/peeringdb/publicdata"
)

// peeringDB is how people come by PeeringDB. It is off without the issuer too, to
// which they come back: commands need none.
func (in *installation) peeringDB() identity.PeeringDB {
	s := in.settings
	p := identity.PeeringDB{SignUp: s.PeeringDB == peeringDBSignUp, Policy: s.peeringDBPolicy(), AdminGroups: s.PeeringDBAdminGroups, RequireMFA: s.PeeringDBRequireMFA,
		Refresh: s.PeeringDBRefresh, MaxAge: s.PeeringDBMaxAge, Retention: s.PeeringDBRetention,
		Participants: func() peeringdb.Participants { return *in.participants.Load() }}
	if s.PeeringDB != peeringDBOff && s.Issuer != "" {
		p.Client = peeringdb.NewClient(s.peeringDBConfig(), nil, in.now)
	}
	return p
}

// publicData keeps the names of the networks that matter: those that take part,
// and those that people act for.
func (in *installation) publicData() *publicdata.Cache {
	return &publicdata.Cache{Store: in.store, Client: publicdata.NewClient(in.settings.PeeringDBAPIURL, string(in.settings.PeeringDBAPIKey), nil), Now: in.now,
		Wanted: func(ctx context.Context) ([]uint32, error) {
			asns, err := in.store.NetworksOfPeople(ctx)
			return slices.AppendSeq(asns, maps.Keys(*in.participants.Load())), err
		}}
}

// loadParticipants reads who takes part in the exchange. A fault changes nothing.
func (in *installation) loadParticipants() error {
	text := in.settings.Participants
	if path := in.settings.files["PEERAGE_PARTICIPANTS"]; path != "" {
		text = "@" + path
	}
	list, err := readParticipants(text)
	if err != nil {
		if in.participants.Load() == nil {
			in.participants.Store(&peeringdb.Participants{})
		}
		return fmt.Errorf("PEERAGE_PARTICIPANTS: %w", err)
	}
	in.participants.Store(&list)
	return nil
}

// participantsFile tells whether the participants come from a file.
func (s *Settings) participantsFile() bool {
	return strings.HasPrefix(s.Participants, "@") || s.files["PEERAGE_PARTICIPANTS"] != ""
}

// reloadParticipants reads the file of participants again.
func (s *server) reloadParticipants(ctx context.Context) {
	before := *s.participants.Load()
	event := identity.Event{Name: "settings_change", Detail: []slog.Attr{slog.String("setting", "PEERAGE_PARTICIPANTS")}}
	if err := s.loadParticipants(); err != nil {
		for fault := range strings.SplitSeq(err.Error(), "\n") {
			s.log.ErrorContext(ctx, "SIGHUP: the participants stay as they were", "fault", fault)
		}
		event.Result = "failure"
		s.audit.Event(ctx, event)
		return
	}
	n := len(*s.participants.Load())
	if n == 0 {
		s.log.WarnContext(ctx, "SIGHUP: nobody takes part by PEERAGE_PARTICIPANTS: nobody new comes in by PeeringDB, nobody gains a network, and nobody loses one for not being listed")
	}
	s.event(ctx, event)
	s.log.InfoContext(ctx, "SIGHUP: read the participants again", "networks", n)
	if maps.Equal(before, *s.participants.Load()) {
		return
	}
	// What follows for people is in PeeringDB's answers alone, which are not kept.
	if people, err := s.store.RecheckPeeringDB(ctx); err != nil {
		s.log.ErrorContext(ctx, "checking everybody by the new participants", "error", err)
	} else {
		s.log.InfoContext(ctx, "everybody is checked by the new participants, one after the other", "people", people)
	}
}

// peeringDBState is the word of /readyz.
func (s *server) peeringDBState(ctx context.Context) string {
	status, err := s.directory.PeeringDBStatus(ctx)
	switch {
	case !status.Offered:
		return readyOff
	case err != nil, status.Broken():
		return readyDown
	case status.Stale > status.NeedSignIn:
		return readyOld
	}
	return readyOK
}

// peeringDBTimeout bounds what the check waits.
const peeringDBTimeout = 10 * time.Second

// checkRedirect tells whether PeeringDB sends people back to us. To an http
// address it does not, and says so to nobody but them, after they agreed.
func checkRedirect(redirect, authorize string) (finding, bool) {
	if strings.HasPrefix(redirect, "https:") || strings.HasPrefix(authorize, "http:") {
		return finding{}, true
	}
	return finding{"peeringdb", "warning", "PeeringDB sends nobody back to " + redirect + ", which is not https: people end at its page Bad Request (400)"}, false
}

// checkPeeringDB asks PeeringDB for its keys. It shows no secret: a wrong one
// would be remembered there against everybody behind this address.
func checkPeeringDB(ctx context.Context, s Settings) []finding {
	if s.PeeringDB == peeringDBOff {
		return []finding{{"peeringdb", readyOff, "set PEERAGE_PEERINGDB to link or signup"}}
	}
	config := s.peeringDBConfig()
	ctx, cancel := context.WithTimeout(ctx, peeringDBTimeout)
	defer cancel()
	if err := peeringdb.NewClient(config, nil, time.Now).Answers(ctx); err != nil {
		return []finding{{"peeringdb", "failed", config.JWKSURL + ": " + err.Error() + "; look at PEERAGE_PEERINGDB_URL and at the way out of this machine"}}
	}
	findings := []finding{{"peeringdb", readyOK, fmt.Sprintf("%s answers; the application there must have the redirect URI %s and the algorithm RSA. The secret is not tried: PeeringDB remembers a wrong one for a minute against everybody here", config.JWKSURL, config.RedirectURL)}}
	if warning, ok := checkRedirect(config.RedirectURL, config.AuthorizeURL); !ok {
		findings = append(findings, warning)
	}
	list, err := readParticipants(s.Participants)
	switch {
	case err != nil:
		findings = append(findings, finding{"participants", "failed", err.Error()})
	case len(list) == 0:
		findings = append(findings, finding{"participants", "warning", "nobody takes part by PEERAGE_PARTICIPANTS: nobody new comes in by PeeringDB, and nobody gains a network"})
	default:
		findings = append(findings, finding{"participants", readyOK, fmt.Sprintf("%d networks take part", len(list))})
	}
	return findings
}

// forgetEvery is how often people are looked for who are to be deleted: often
// enough for how long they are kept.
func forgetEvery(retention time.Duration) time.Duration {
	return min(max(retention/10, time.Second), 10*time.Minute)
}
