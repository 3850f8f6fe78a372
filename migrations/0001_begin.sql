-- Times are microseconds since 1970 UTC; NULL means "never".
-- Columns called *_hash hold SHA-256 of a random secret; columns called
-- sealed_* hold an AEAD blob under a key derived from PEERAGE_SECRET_KEY.

-- Facts about the installation itself (which backend it was made for, a
-- sealed probe that tells a wrong PEERAGE_SECRET_KEY at once).
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value BYTEA NOT NULL
);

-- A counter for each thing that running servers keep in memory. Whoever
-- changes such a thing raises its counter in the same transaction.
CREATE TABLE revisions (
    topic    TEXT PRIMARY KEY,
    revision BIGINT NOT NULL
);

CREATE TABLE users (
    sub            TEXT PRIMARY KEY,
    origin         TEXT NOT NULL,
    username       TEXT NOT NULL UNIQUE,
    name           TEXT NOT NULL,
    given_name     TEXT NOT NULL,
    family_name    TEXT NOT NULL,
    email          TEXT NOT NULL,
    email_verified BOOLEAN NOT NULL,
    disabled       BOOLEAN NOT NULL,
    -- After an administrator's reset of the second factor, enrolling again
    -- needs a one-time link and not the password alone.
    needs_link     BOOLEAN NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    last_login_at  BIGINT
);

CREATE TABLE credentials (
    sub           TEXT PRIMARY KEY REFERENCES users (sub) ON DELETE CASCADE,
    password_hash TEXT NOT NULL,
    changed_at    BIGINT NOT NULL
);

CREATE TABLE factors (
    sub           TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    kind          TEXT NOT NULL,
    -- A pending factor becomes the active one after one right code.
    pending       BOOLEAN NOT NULL,
    sealed_secret BYTEA NOT NULL,
    -- The browser that a pending secret was shown to; no other may see it.
    browser_hash  BYTEA,
    last_step     BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT,
    expires_at    BIGINT,
    PRIMARY KEY (sub, kind, pending)
);

CREATE TABLE local_groups (
    name       TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE group_members (
    group_name TEXT NOT NULL REFERENCES local_groups (name) ON DELETE CASCADE,
    sub        TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    PRIMARY KEY (group_name, sub)
);
CREATE INDEX group_members_sub ON group_members (sub);

-- One-time links: for a lost second factor, later recovery and invitations.
CREATE TABLE links (
    token_hash BYTEA PRIMARY KEY,
    sub        TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    purpose    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE (sub, purpose)
);
CREATE INDEX links_expiry ON links (expires_at);

-- Wrong passwords and codes: one row for each account, address or person.
CREATE TABLE attempts (
    key      TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL
);
CREATE INDEX attempts_last ON attempts (last_at);

-- A sign-in whose password was right and whose second factor is outstanding.
CREATE TABLE signins (
    browser_hash     BYTEA PRIMARY KEY,
    sub              TEXT NOT NULL,
    username         TEXT NOT NULL,
    origin           TEXT NOT NULL,
    sealed_challenge BYTEA,
    may_enrol        BOOLEAN NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX signins_expiry ON signins (expires_at);
CREATE INDEX signins_sub ON signins (sub);

CREATE TABLE sessions (
    id            TEXT PRIMARY KEY,
    secret_hash   BYTEA NOT NULL UNIQUE,
    sub           TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    auth_time     BIGINT NOT NULL,
    acr           TEXT NOT NULL,
    amr           TEXT NOT NULL,
    -- When the person last gave the strongest factor that they have.
    factor_at     BIGINT NOT NULL,
    ip            TEXT NOT NULL,
    user_agent    TEXT NOT NULL,
    sealed_backend_token BYTEA,
    created_at    BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX sessions_sub ON sessions (sub);
CREATE INDEX sessions_expiry ON sessions (expires_at);
CREATE INDEX sessions_seen ON sessions (last_seen_at);

-- source is 'settings' for system clients (they win over a stored one of the
-- same id) and 'store' for those made by command or page. document is the
-- JSON of contract section 5 without any secret in clear.
CREATE TABLE clients (
    client_id  TEXT NOT NULL,
    source     TEXT NOT NULL,
    document   TEXT NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, source)
);

CREATE TABLE consents (
    sub          TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    client_id    TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    granted_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    PRIMARY KEY (sub, client_id)
);
CREATE INDEX consents_client ON consents (client_id);

-- An authorization in flight (RFC 6749 section 4.1.1), bound to a browser.
CREATE TABLE requests (
    id           TEXT PRIMARY KEY,
    client_id    TEXT NOT NULL,
    parameters   TEXT NOT NULL,
    -- NULL until the first browser comes (a cross-site POST carries no cookie).
    browser_hash BYTEA,
    -- Only a sign-in younger than this counts (prompt=login, "another account").
    login_after  BIGINT,
    paged        BOOLEAN NOT NULL,
    -- Whose answers the next three are; another person's do not count.
    decided_by   TEXT NOT NULL,
    chosen       BOOLEAN NOT NULL,
    consented    BOOLEAN NOT NULL,
    confirmed    BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    finished_at  BIGINT
);
CREATE INDEX requests_expiry ON requests (expires_at);

-- grant_document is what the person agreed to: scopes, auth_time, acr, amr,
-- nonce; every token of the family is made from it and the person of now.
CREATE TABLE codes (
    code_hash      BYTEA PRIMARY KEY,
    family_id      TEXT NOT NULL,
    client_id      TEXT NOT NULL,
    sub            TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    session_id     TEXT NOT NULL,
    redirect_uri   TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    grant_document TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    used_at        BIGINT
);
CREATE INDEX codes_expiry ON codes (expires_at);
CREATE INDEX codes_sub ON codes (sub);

CREATE TABLE families (
    id             TEXT PRIMARY KEY,
    client_id      TEXT NOT NULL,
    -- NULL: the client acts for itself (client_credentials).
    sub            TEXT REFERENCES users (sub) ON DELETE CASCADE,
    session_id     TEXT NOT NULL,
    offline        BOOLEAN NOT NULL,
    grant_document TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    revoked_at     BIGINT
);
CREATE INDEX families_sub ON families (sub, client_id);
CREATE INDEX families_session ON families (session_id);
CREATE INDEX families_client ON families (client_id);
CREATE INDEX families_expiry ON families (expires_at);

CREATE TABLE access_tokens (
    token_hash BYTEA PRIMARY KEY,
    family_id  TEXT NOT NULL REFERENCES families (id) ON DELETE CASCADE,
    scopes     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_tokens_family ON access_tokens (family_id);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

-- sealed_answer: the answer that a spent token gave, kept for the grace
-- period under a key derived from that token itself.
CREATE TABLE refresh_tokens (
    token_hash     BYTEA PRIMARY KEY,
    family_id      TEXT NOT NULL REFERENCES families (id) ON DELETE CASCADE,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    spent_at       BIGINT,
    successor_hash BYTEA,
    scope          TEXT NOT NULL,
    sealed_answer  BYTEA
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_successor ON refresh_tokens (successor_hash);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

CREATE TABLE signing_keys (
    kid            TEXT PRIMARY KEY,
    alg            TEXT NOT NULL,
    state          TEXT NOT NULL,
    sealed_private BYTEA NOT NULL,
    public_jwk     TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    activated_at   BIGINT,
    retired_at     BIGINT,
    -- When a next key is to become active.
    promote_at     BIGINT,
    -- A leaked key: no longer published, what it signed no longer verifies.
    withdrawn_at   BIGINT,
    last_used_at   BIGINT
);
-- At most one active and one next key for each algorithm.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (alg) WHERE state = 'next';

CREATE TABLE events (
    id         TEXT PRIMARY KEY,
    time       BIGINT NOT NULL,
    event      TEXT NOT NULL,
    username   TEXT NOT NULL,
    sub        TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    ip         TEXT NOT NULL,
    result     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    trace_id   TEXT NOT NULL,
    span_id    TEXT NOT NULL
);
CREATE INDEX events_time ON events (time);
CREATE INDEX events_event ON events (event, time);
CREATE INDEX events_username ON events (username, time);
CREATE INDEX events_sub ON events (sub, time);
CREATE INDEX events_client ON events (client_id, time);
CREATE INDEX events_ip ON events (ip, time);

INSERT INTO local_groups (name, created_at) VALUES ('admins', 0);

-- Client assertions that were used (RFC 7523 section 3, jti).
CREATE TABLE assertions (
    jti_hash   BYTEA PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX assertions_expiry ON assertions (expires_at);

-- Pushed authorization requests (RFC 9126), each good for one authorization.
CREATE TABLE pushed_requests (
    uri_hash   BYTEA PRIMARY KEY,
    client_id  TEXT NOT NULL,
    parameters TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pushed_requests_expiry ON pushed_requests (expires_at);

-- Sign-outs that clients are still to be told of (OIDC Back-Channel Logout 1.0).
CREATE TABLE logouts (
    id         TEXT PRIMARY KEY,
    client_id  TEXT NOT NULL,
    sub        TEXT NOT NULL,
    session_id TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX logouts_next ON logouts (next_at);

-- Device authorizations (RFC 8628). A row outlives its use, so that a replay
-- is recognised.
CREATE TABLE device_codes (
    device_hash    BYTEA PRIMARY KEY,
    user_code_hash BYTEA NOT NULL UNIQUE,
    client_id      TEXT NOT NULL,
    scopes         TEXT NOT NULL,
    -- pending, allowed or denied; the next three are there once it is allowed.
    state          TEXT NOT NULL,
    sub            TEXT REFERENCES users (sub) ON DELETE CASCADE,
    session_id     TEXT NOT NULL,
    grant_document TEXT NOT NULL,
    family_id      TEXT NOT NULL,
    -- Seconds that the device has to wait between polls.
    poll_interval  BIGINT NOT NULL,
    last_poll_at   BIGINT,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    used_at        BIGINT
);
CREATE INDEX device_codes_expiry ON device_codes (expires_at);
CREATE INDEX device_codes_sub ON device_codes (sub);
