package identity

import "context"

type actorKey struct{}

// WithActor puts the administrator who acts on others into the context: every
// event that follows says "by" whom it was.
func WithActor(ctx context.Context, username string) context.Context {
	return context.WithValue(ctx, actorKey{}, username)
}

// actorFrom is the administrator who acts, "" for people who act for
// themselves and for commands.
func actorFrom(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}
