-- What people were given by OpenBao: its accessors and serial numbers tell no
-- one whose they are, so that these rows do.

-- API tokens. The accessor names a token without being one.
CREATE TABLE api_tokens (
    accessor          TEXT PRIMARY KEY,
    sub               TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    wrapping_accessor TEXT NOT NULL,
    created_at        BIGINT NOT NULL,
    unwrap_before     BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    unwrapped_at      BIGINT,
    ended_at          BIGINT
);
CREATE INDEX api_tokens_sub ON api_tokens (sub, created_at);
CREATE INDEX api_tokens_expiry ON api_tokens (expires_at);

-- Client certificates. Their private keys are nowhere.
CREATE TABLE certificates (
    serial      TEXT PRIMARY KEY,
    sub         TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    common_name TEXT NOT NULL,
    not_before  BIGINT NOT NULL,
    not_after   BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT
);
CREATE INDEX certificates_sub ON certificates (sub, created_at);
CREATE INDEX certificates_expiry ON certificates (not_after);

-- People whose consents OpenBao has yet to be told, where they are mirrored.
-- changes counts what happened since the row was made.
CREATE TABLE consent_mirror (
    sub      TEXT PRIMARY KEY REFERENCES users (sub) ON DELETE CASCADE,
    changes  BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at  BIGINT NOT NULL
);
CREATE INDEX consent_mirror_next ON consent_mirror (next_at);
