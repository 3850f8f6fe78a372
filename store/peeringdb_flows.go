package store

import (
	"context"
	"encoding/hex"
	"time"
)

// What a way to PeeringDB and back is for.
const (
	FlowSignIn  = "sign-in"
	FlowLink    = "link"
	FlowConfirm = "confirm"
)

// PeeringDBFlow is a browser that is on its way to PeeringDB and back. It
// belongs to that browser and is good once.
type PeeringDBFlow struct {
	Purpose string
	// Sub and SessionID are who links or confirms; "" for a sign-in.
	Sub, SessionID string
	// Request is the authorization in flight, Back the page to go on to.
	Request, Back string
	// Secrets are the PKCE verifier and the nonce; sealed in the row.
	Secrets []byte
	// Again: the browser was sent a second time.
	Again bool
}

func flowPlace(stateHash []byte) sealedColumn {
	return sealedColumn{"peeringdb_flows", "sealed_secrets", "state_hash = $2", hex.EncodeToString(stateHash)}
}

// PutPeeringDBFlow remembers a browser that is sent to PeeringDB.
func (s *Store) PutPeeringDBFlow(ctx context.Context, stateHash, browserHash []byte, f PeeringDBFlow, lifetime time.Duration) error {
	sealed, err := s.seals.seal(f.Secrets, flowPlace(stateHash).place())
	if err != nil {
		return err
	}
	return s.tx(ctx, "put_peeringdb_flow", func(q *Queries) error {
		return q.must(`INSERT INTO peeringdb_flows (state_hash, browser_hash, purpose, sub, session_id, request, back, sealed_secrets, again, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			stateHash, browserHash, f.Purpose, f.Sub, f.SessionID, f.Request, f.Back, sealed, f.Again, at(q.now.Add(lifetime)))
	})
}

// TakePeeringDBFlow uses up the way that a browser comes back from. ErrNotFound:
// it is another browser's, was used, or is too old.
func (s *Store) TakePeeringDBFlow(ctx context.Context, stateHash, browserHash []byte) (PeeringDBFlow, error) {
	var f PeeringDBFlow
	err := s.tx(ctx, "take_peeringdb_flow", func(q *Queries) (err error) {
		f, err = one(q, func(f *PeeringDBFlow) []any {
			return []any{&f.Purpose, &f.Sub, &f.SessionID, &f.Request, &f.Back, &f.Secrets, &f.Again}
		}, `DELETE FROM peeringdb_flows WHERE state_hash = $1 AND browser_hash = $2 AND expires_at > $3
			RETURNING purpose, sub, session_id, request, back, sealed_secrets, again`, stateHash, browserHash, at(q.now))
		return err
	})
	if err != nil {
		return f, err
	}
	f.Secrets, _, err = s.seals.open(f.Secrets, flowPlace(stateHash).place())
	return f, err
}
