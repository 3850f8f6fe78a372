package identity

import "context"

// Caller is who sends the request at hand, as far as logs and limits care.
type Caller struct {
	// IP is the client's address behind trusted proxies.
	IP string
	// Network is what limits count by: the address, or its /64 for IPv6.
	Network   string
	UserAgent string
	RequestID string
}

type callerKey struct{}

// WithCaller puts the caller into the request's context, for log lines and events.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom is the caller of a request; on the command line it is empty.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
