package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"peerage/identity"
	"peerage/identity/local"
	"peerage/identity/openbao"
	"peerage/store"
)

// backends are those that keep people: the first one those whom nobody knows
// yet. Local people there are always; beside OpenBao they are the way in while
// it is sealed.
func (in *installation) backends(registerer prometheus.Registerer) ([]identity.Backend, error) {
	here := local.New(in.store, in.passwords, in.now)
	upstream := local.NewWithoutPasswords(in.store, in.passwords, in.now, store.OriginPeeringDB)
	s := in.settings
	keptThere := openbao.IsKVField(string(s.SigningKey)) && s.BaoAddr != "" && s.hasBaoCredential()
	if s.Backend != backendOpenBao && !keptThere {
		return []identity.Backend{here, upstream}, nil
	}
	client, err := s.openBaoClient()
	if err != nil {
		return nil, err
	}
	in.bao = client
	in.credential = openbao.NewCredential(client, s.baoCredential(), in.now, in.log)
	in.credential.Source = s.readBaoCredential
	if registerer != nil {
		if err := registerer.Register(in.credential.Collector()); err != nil {
			return nil, err
		}
	}
	if s.Backend != backendOpenBao {
		return []identity.Backend{here, upstream}, nil
	}
	engines, err := s.engines()
	if err != nil {
		return nil, err
	}
	in.people, err = openbao.New(
		openbao.People{Mount: s.BaoUserpass, MethodID: s.BaoMFAMethodID, NameKey: s.BaoNameKey, EmailKey: s.BaoEmailKey,
			EmailVerified: s.BaoEmailVerified, MaxStale: s.BaoMaxStale, Engines: engines},
		openbao.Deps{Client: client, Token: in.credential.Token, Doubt: in.credential.Doubt, Store: in.store, Audit: in.audit, Now: in.now, Logger: in.log, Registerer: registerer})
	if err != nil {
		return nil, err
	}
	return []identity.Backend{in.people, here, upstream}, nil
}

// baoPingTimeout is short: orchestrators wait a second for all of /readyz.
const baoPingTimeout = 300 * time.Millisecond

// openBaoState is the word of /readyz for OpenBao.
func (in *installation) openBaoState(ctx context.Context) string {
	if in.credential == nil {
		return readyOff
	}
	ctx, cancel := context.WithTimeout(ctx, baoPingTimeout)
	defer cancel()
	if err := in.bao.Answers(ctx); err != nil {
		return readyDown
	}
	word, _ := in.credential.State()
	return word
}
