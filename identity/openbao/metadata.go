package openbao

import (
	"context"
	"maps"
	"time"

	"peerage/identity"
)

// metadataPatience is how long somebody else's change of the same person is
// waited for.
const metadataPatience = 5 * time.Second

// changeMetadata changes a person's metadata, all of which OpenBao replaces at
// once and without a version: of two at the same time it would keep one. So
// it is done by one at a time, on all replicas.
func (b *Backend) changeMetadata(ctx context.Context, id string, change func(map[string]string)) error {
	held, err := b.store.Alone(ctx, "metadata:"+id, metadataPatience, func(ctx context.Context) error {
		e, err := b.entityByID(ctx, id)
		if err != nil {
			return err
		}
		fresh := maps.Clone(e.Metadata)
		if fresh == nil {
			fresh = map[string]string{}
		}
		change(fresh)
		if maps.Equal(fresh, e.Metadata) {
			return nil
		}
		_, err = b.service(ctx, request{operation: "write_metadata", method: "POST", path: at("identity/entity/id/{}", id), body: map[string]any{"metadata": fresh}})
		return err
	})
	if err == nil && !held {
		err = &Error{Operation: "write_metadata", Kind: identity.ErrUnavailable, Reason: "others change the same person"}
	}
	return err
}

// putProfile puts name and address where the operator keeps them.
func (b *Backend) putProfile(metadata map[string]string, name, email string) {
	for key, value := range map[string]string{b.NameKey: name, b.EmailKey: email} {
		if value == "" {
			delete(metadata, key)
		} else {
			metadata[key] = value
		}
	}
}

// SetProfile implements identity.Accounts.
func (b *Backend) SetProfile(ctx context.Context, u identity.User, name, email string) error {
	if err := b.Granted(ctx); err != nil {
		return err
	}
	return b.changeMetadata(ctx, u.Sub, func(metadata map[string]string) { b.putProfile(metadata, name, email) })
}
