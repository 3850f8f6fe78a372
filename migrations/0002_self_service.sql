-- What people and administrators do for themselves, and what several servers
-- must not do at once.

-- Who does a job now: one server at a time, until the lease runs out.
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- One-time links are bound to the address that their person had.
ALTER TABLE links ADD COLUMN email TEXT NOT NULL DEFAULT '';
-- Who recovers a password is found by address.
CREATE INDEX users_email ON users (LOWER(email));

-- What is still to be done by mail. The content holds one-time links.
CREATE TABLE outbox (
    id             TEXT PRIMARY KEY,
    kind           TEXT NOT NULL,
    sealed_content BYTEA NOT NULL,
    attempts       BIGINT NOT NULL,
    next_at        BIGINT NOT NULL,
    created_at     BIGINT NOT NULL
);
CREATE INDEX outbox_next ON outbox (next_at);

-- What people are found by: the words of their user name, name and e-mail
-- address in lower case, as bytes so that every engine sorts them alike.
CREATE TABLE user_words (
    word BYTEA NOT NULL,
    sub  TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    PRIMARY KEY (word, sub)
);
CREATE INDEX user_words_sub ON user_words (sub, word);
CREATE INDEX users_disabled ON users (disabled, username);
CREATE INDEX users_origin ON users (origin, username);
-- Who has no second factor is found along two indexes, side by side.
CREATE INDEX factors_active ON factors (sub) WHERE pending = FALSE;

-- Counts changes by administrators: an edit names the version it has seen.
ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- Second factors that do not lie with the backend: everybody may have them,
-- whoever keeps their password.

-- Recovery codes have 60 bits only, so code_hash is no plain SHA-256: it is an
-- HMAC under a key derived from PEERAGE_SECRET_KEY. A used one is deleted.
CREATE TABLE recovery_codes (
    sub        TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    code_hash  BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (sub, code_hash)
);

-- WebAuthn credentials.
CREATE TABLE passkeys (
    credential_id     BYTEA PRIMARY KEY,
    sub               TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    name              TEXT NOT NULL,
    sealed_credential BYTEA NOT NULL,
    sign_count        BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    last_used_at      BIGINT
);
CREATE INDEX passkeys_sub ON passkeys (sub);

-- Challenges that wait for a passkey's answer, each for one browser and one
-- purpose, and good once.
CREATE TABLE ceremonies (
    challenge    TEXT PRIMARY KEY,
    browser_hash BYTEA NOT NULL,
    purpose      TEXT NOT NULL,
    sub          TEXT NOT NULL,
    document     TEXT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX ceremonies_expiry ON ceremonies (expires_at);
