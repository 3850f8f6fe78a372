package idp

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"peerage/identity"
)

const (
	// MaxSession is what browsers keep of one cookie, its name and attributes
	// included (RFC 6265 section 6.1). Applications that keep the session in a
	// cookie, oauth2-proxy for one, split it above that, and web servers before
	// them answer 431 or 400 soon afterwards.
	MaxSession = 4096
	// besideUserInfo stands for the tokens that an application keeps beside
	// what UserInfo told it: an ID token without groups is about that long.
	besideUserInfo = 1024
	// sizeToldEvery is how often one person's size at one client is told of.
	sizeToldEvery = 24 * time.Hour
	// maxSizesTold bounds the memory of whom the log told of.
	maxSizesTold = 10_000
)

// SessionSize is what a sign-in weighs at an application that keeps it in a
// cookie.
type SessionSize struct {
	// Groups counts the groups among the claims.
	Groups int
	// Bytes estimates the cookie: tokens and groups, encrypted, in base64.
	Bytes int
}

// TooLarge tells whether the session outgrows one cookie because of groups:
// then the client should be given a group_filter.
func (s SessionSize) TooLarge() bool { return s.Groups > 0 && s.Bytes > MaxSession }

// SizeOfIDToken weighs the session of an application that keeps its tokens,
// and the groups that it read from the ID token beside them.
func SizeOfIDToken(claims map[string]any, idToken, access string) SessionSize {
	groups, bytes := weighGroups(claims)
	return SessionSize{groups, cookieBytes(len(idToken) + len(access) + bytes)}
}

// SizeOfUserInfo weighs the session of an application that keeps its tokens,
// and the groups that it read from UserInfo beside them.
func SizeOfUserInfo(claims map[string]any) SessionSize {
	groups, bytes := weighGroups(claims)
	return SessionSize{groups, cookieBytes(besideUserInfo + bytes)}
}

func weighGroups(claims map[string]any) (groups, bytes int) {
	list, _ := claims["groups"].([]string)
	if len(list) == 0 {
		return 0, 0 // most people at most clients: nothing to weigh
	}
	text, err := json.Marshal(list)
	if err != nil {
		return 0, 0
	}
	return len(list), len(text)
}

// cookieBytes is the length in base64.
func cookieBytes(n int) int { return (n + 2) / 3 * 4 }

// sizesTold remembers which sizes the log has told of.
type sizesTold struct {
	mu   sync.Mutex
	last map[sizeKey]time.Time
}

type sizeKey struct{ client, sub string }

// first tells whether it is time to tell of a person at a client, and notes
// that it was done. Once too many are remembered, those are forgotten of whom
// it is time again; when there are none, nobody else is told of.
func (s *sizesTold) first(key sizeKey, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, told := s.last[key]; told && now.Sub(last) < sizeToldEvery {
		return false
	}
	if len(s.last) >= maxSizesTold {
		for key, last := range s.last {
			if now.Sub(last) >= sizeToldEvery {
				delete(s.last, key)
			}
		}
		if len(s.last) >= maxSizesTold {
			return false
		}
	}
	if s.last == nil {
		s.last = map[sizeKey]time.Time{}
	}
	s.last[key] = now
	return true
}

// tellSize warns the operator of a person whose groups are too many for a
// client that keeps its session in a cookie, before that person's browser
// meets an error that names neither.
func (p *Provider) tellSize(ctx context.Context, client *Client, user identity.User, where string, size SessionSize) {
	if !size.TooLarge() || !p.sizesTold.first(sizeKey{client.ClientID, user.Sub}, p.now()) {
		return
	}
	p.log.WarnContext(ctx, "a person's groups make the session of an application larger than a cookie",
		slog.String("client", client.ClientID), slog.String("user", user.Username), slog.String("where", where),
		slog.Int("groups", size.Groups), slog.Int("bytes", size.Bytes), slog.Int("limit", MaxSession),
		slog.String("next", "give the client a group_filter that lets only the groups through that it needs, or have the application keep its sessions on the server"))
}
