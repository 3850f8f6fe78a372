package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// KnownState is what a backend elsewhere last said of a person.
type KnownState struct {
	Sub            string
	Groups         []string
	TOTP, Disabled bool
	// AskedAt is before the backend said so.
	AskedAt time.Time
}

// groupList scans a column that holds names as a JSON array.
type groupList struct{ list *[]string }

// Scan implements sql.Scanner.
func (g groupList) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("a list column holds %T", v)
	}
	return json.Unmarshal([]byte(text), g.list)
}

func knownStateFields(k *KnownState) []any {
	return []any{&k.Sub, groupList{&k.Groups}, &k.TOTP, &k.Disabled, stamp{&k.AskedAt}}
}

// KnownState finds what was last said of a person; ErrNotFound.
func (s *Store) KnownState(ctx context.Context, sub string) (KnownState, error) {
	return one(s.read(ctx), knownStateFields, "SELECT sub, groups, totp, disabled, asked_at FROM known_states WHERE sub = $1", sub)
}

// PutKnownState keeps what was said of a person. What was asked later, by
// another replica, stays; not so a time that is yet to come, of a clock that was
// wrong. ErrNotFound: there is no such person any more.
func (s *Store) PutKnownState(ctx context.Context, k KnownState) error {
	groups, err := json.Marshal(append([]string{}, k.Groups...))
	if err != nil {
		return err
	}
	return s.tx(ctx, "put_known_state", func(q *Queries) error {
		return q.must(`INSERT INTO known_states (sub, groups, totp, disabled, asked_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (sub) DO UPDATE SET groups = excluded.groups, totp = excluded.totp, disabled = excluded.disabled, asked_at = excluded.asked_at
			WHERE known_states.asked_at <= excluded.asked_at OR known_states.asked_at > $6`,
			k.Sub, string(groups), k.TOTP, k.Disabled, at(k.AskedAt), at(q.now))
	})
}
