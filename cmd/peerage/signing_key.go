package main

import (
	"context"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/idp"
)

// openKeys reads the signing keys; a job makes those that are missing.
func (s *server) openKeys(ctx context.Context) error {
	var err error
	if s.keys, err = idp.NewKeyRing(ctx, s.store, s.now, s.log); err != nil {
		return err
	}
	switch key := string(s.settings.SigningKey); {
	case key == "":
	case openbao.IsKVField(key):
		s.readSigningKey(ctx)
	default:
		return s.importKey(ctx, key)
	}
	return nil
}

// importKey makes a private key the one that signs, unless it is known.
func (s *server) importKey(ctx context.Context, pem string) error {
	imported, err := s.keys.Import(ctx, []byte(pem))
	if err == nil && imported.New() {
		s.event(ctx, identity.Event{Name: "key_rotate", Detail: idp.KeyDetail(imported.Alg, imported.KID)})
	}
	return err
}

// readSigningKey looks at the signing key that OpenBao keeps. Where it cannot
// be had, or is none, the keys that there are serve; a fault is told once, and
// its end.
func (s *server) readSigningKey(ctx context.Context) {
	field, err := openbao.ParseKVField(string(s.settings.SigningKey))
	var pem string
	if err == nil {
		pem, err = s.credential.ReadKV(ctx, field)
	}
	if err == nil {
		err = s.importKey(ctx, pem)
	}
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil && err.Error() != s.keyFault:
		s.keyFault = err.Error()
		s.log.ErrorContext(ctx, "the signing key in OpenBao cannot be had; the keys that there are go on signing", "from", field.String(), "error", err)
	case err == nil && s.keyFault != "":
		s.keyFault = ""
		s.log.InfoContext(ctx, "the signing key in OpenBao can be had again", "from", field.String())
	}
}
