package main

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"peerage/identity/openbao"
	"peerage/store"
	"peerage/tracing"
)

const (
	expireEvery  = time.Minute
	expireBatch  = 500
	forgetBatch  = 50
	keyUseEvery  = time.Minute
	keyRingEvery = time.Minute
	// keySourceEvery is how often the signing key in OpenBao is looked at.
	keySourceEvery = 30 * time.Second
	logoutsEvery   = time.Second
	mailEvery      = time.Second
	checkEvery     = time.Second
	publicEvery    = time.Minute
	mirrorEvery    = time.Second
	watchEvery     = 250 * time.Millisecond
	peopleEvery    = 5 * time.Minute
)

// jobs runs the work in the background until ctx ends, and returns when all
// of it has stopped and others may go on with it. What is done alone runs in
// one server at a time; the rest concerns this process, or takes its rows
// itself.
func (s *server) jobs(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { s.warnings(ctx) })
	group.Go(func() { s.every(ctx, "expiring what is too old", expireEvery, s.alone("expire", s.expire)) })
	group.Go(func() { s.every(ctx, "writing when keys were used", keyUseEvery, s.keys.FlushUse) })
	group.Go(func() {
		s.try(ctx, "making the signing keys", s.keys.Ensure)
		keep := s.alone("keys", s.keepKeys)
		s.try(ctx, "preparing the next signing keys", keep)
		s.every(ctx, "keeping the signing keys", keyRingEvery, keep)
	})
	// Drops retired keys of which no token can be alive.
	group.Go(func() { s.every(ctx, "reading the signing keys", keyRingEvery, s.keys.Reload) })
	group.Go(func() { turns(ctx, logoutsEvery, func() { s.deliverLogouts(ctx) }) })
	group.Go(func() { turns(ctx, checkEvery, func() { s.checkPeeringDB(ctx) }) })
	group.Go(func() {
		s.every(ctx, "forgetting people without networks", forgetEvery(s.settings.PeeringDBRetention), s.alone("forget", func(ctx context.Context) error { return s.directory.ForgetPeople(ctx, forgetBatch) }))
	})
	group.Go(func() { turns(ctx, mailEvery, func() { s.deliverMail(ctx) }) })
	if s.settings.PeeringDB != peeringDBOff {
		read := s.alone("public_data", s.publicData().Refresh)
		group.Go(func() { s.every(ctx, "reading PeeringDB's public data", publicEvery, read) })
	}
	group.Go(func() { s.watch(ctx) })
	if openbao.IsKVField(string(s.settings.SigningKey)) {
		group.Go(func() { turns(ctx, keySourceEvery, func() { s.readSigningKey(ctx) }) })
	}
	if s.settings.BaoMirrorConsents && s.people != nil {
		group.Go(func() { turns(ctx, mirrorEvery, func() { s.mirrorConsents(ctx) }) })
	}
	if s.credential != nil {
		group.Go(func() { s.credential.Run(ctx) })
	}
	if s.people != nil {
		group.Go(func() {
			take := s.alone("people", s.people.TakeEverybodyIn)
			s.try(ctx, "reading who is in OpenBao", take)
			s.every(ctx, "reading who is in OpenBao", peopleEvery, take)
		})
	}
	group.Wait()
	s.releaseLeases(ctx)
}

// every does a job again and again. A failure is told and tried again at the
// next turn.
func (s *server) every(ctx context.Context, what string, interval time.Duration, job func(context.Context) error) {
	turns(ctx, interval, func() { s.try(ctx, what, job) })
}

// turns calls at an interval until ctx ends.
func turns(ctx context.Context, interval time.Duration, turn func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			turn()
		}
	}
}

func (s *server) try(ctx context.Context, what string, job func(context.Context) error) {
	_ = s.spanned(ctx, what, func(ctx context.Context) error {
		err := job(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, what, "error", err)
		}
		return err
	})
}

// spanned puts a turn of a job into a span of its own, which begins a trace.
func (s *server) spanned(ctx context.Context, what string, job func(context.Context) error) error {
	if s.tracer == nil {
		return job(ctx)
	}
	ctx, span := tracing.Start(ctx, s.tracer, what, trace.WithNewRoot())
	defer span.End()
	err := job(ctx)
	if err != nil {
		tracing.Failed(span)
	}
	return err
}

// deliverLogouts looks first: a trace every second that nothing was to do
// would bury all others.
func (s *server) deliverLogouts(ctx context.Context) {
	if due, err := s.provider.LogoutsDue(ctx); err == nil && !due {
		return
	}
	s.try(ctx, "telling clients of sign-outs", s.provider.DeliverLogouts)
}

// deliverMail looks first, like deliverLogouts.
func (s *server) deliverMail(ctx context.Context) {
	if due, err := s.directory.MailDue(ctx); err == nil && !due {
		return
	}
	s.try(ctx, "sending mails", s.directory.DeliverMail)
}

// mirrorConsents looks first, like deliverLogouts.
func (s *server) mirrorConsents(ctx context.Context) {
	if due, err := s.store.ConsentChangesDue(ctx); err == nil && !due {
		return
	}
	s.try(ctx, "mirroring consents", s.people.MirrorConsents)
}

// checkPeeringDB looks first, like deliverLogouts. Servers share the pace in the
// store, and each person's lease.
func (s *server) checkPeeringDB(ctx context.Context) {
	if due, err := s.directory.PeeringDBCheckDue(ctx); err == nil && !due {
		return
	}
	s.try(ctx, "checking people at PeeringDB", s.directory.CheckNextPeeringDB)
}

// watch learns of changes that other processes make; the store tells again
// what could not be read.
func (s *server) watch(ctx context.Context) {
	err := s.store.Watch(ctx, watchEvery, func(topic string) error {
		return s.spanned(ctx, "reading what has changed", func(ctx context.Context) error { return s.changed(ctx, topic) })
	})
	if err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "watching for changes", "error", err)
	}
}

// expire removes in batches, so that nobody waits long for the writer.
func (s *server) expire(ctx context.Context) error {
	for ctx.Err() == nil {
		rows, err := s.directory.Expire(ctx, expireBatch)
		if err != nil || rows < expireBatch {
			return err
		}
	}
	return nil
}

// keepKeys makes, promotes and replaces keys.
func (s *server) keepKeys(ctx context.Context) error { return s.keys.Keep(ctx, s.audit) }

// changed reads again what another process has changed.
func (s *server) changed(ctx context.Context, topic string) error {
	switch topic {
	case store.TopicClients:
		return s.clients.Reload(ctx)
	case store.TopicKeys:
		return s.keys.Reload(ctx)
	}
	return nil
}
