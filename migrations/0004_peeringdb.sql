-- PeeringDB: whose account is whose, the networks that people act for, and what
-- keeps several servers behind one address from asking too much.

-- One account for one person. A refresh token is spent by its use, so generation
-- counts them: who comes with the answer to an older one changes nothing.
CREATE TABLE peeringdb_links (
    sub                  TEXT PRIMARY KEY REFERENCES users (sub) ON DELETE CASCADE,
    peeringdb_id         BIGINT NOT NULL UNIQUE,
    account_name         TEXT NOT NULL,
    sealed_refresh_token BYTEA,
    generation           BIGINT NOT NULL,
    linked_at            BIGINT NOT NULL,
    -- The last good answer, the last try, and the next one (NULL: none before
    -- the person signs in at PeeringDB again).
    checked_at           BIGINT,
    tried_at             BIGINT,
    next_at              BIGINT,
    -- Somebody waits for the next one.
    urgent               BOOLEAN NOT NULL,
    -- What was wrong with the last try, and why the last good answer lets the
    -- person in no more; '' for nothing.
    fault                TEXT NOT NULL,
    refusal              TEXT NOT NULL,
    needs_sign_in        BOOLEAN NOT NULL,
    -- Until then one server checks the person and no other.
    lease_until          BIGINT,
    -- Since when the person is disabled because no network was left.
    deactivated_at       BIGINT
);
CREATE INDEX peeringdb_links_next ON peeringdb_links (urgent, next_at);
CREATE INDEX peeringdb_links_deactivated ON peeringdb_links (deactivated_at);

-- The networks that people act for; origin is peeringdb or admin.
CREATE TABLE affiliations (
    sub    TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    asn    BIGINT NOT NULL,
    origin TEXT NOT NULL,
    name   TEXT NOT NULL,
    perms  BIGINT NOT NULL,
    since  BIGINT NOT NULL,
    PRIMARY KEY (sub, asn, origin)
);
CREATE INDEX affiliations_asn ON affiliations (asn, origin);

-- What the person has not been told yet.
CREATE TABLE affiliation_news (
    id    TEXT PRIMARY KEY,
    sub   TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    asn   BIGINT NOT NULL,
    name  TEXT NOT NULL,
    added BOOLEAN NOT NULL,
    at    BIGINT NOT NULL
);
CREATE INDEX affiliation_news_sub ON affiliation_news (sub, at);

-- Networks that do not want PeeringDB to say who acts for them.
CREATE TABLE peeringdb_opt_outs (
    asn   BIGINT PRIMARY KEY,
    since BIGINT NOT NULL
);

-- Browsers that are on their way to PeeringDB and back.
CREATE TABLE peeringdb_flows (
    state_hash     BYTEA PRIMARY KEY,
    browser_hash   BYTEA NOT NULL,
    purpose        TEXT NOT NULL,
    -- Who links or confirms, and in which session; '' for a sign-in.
    sub            TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    -- Where the person goes on: an authorization in flight, or a page.
    request        TEXT NOT NULL,
    back           TEXT NOT NULL,
    sealed_secrets BYTEA NOT NULL,
    again          BOOLEAN NOT NULL,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX peeringdb_flows_expiry ON peeringdb_flows (expires_at);

-- One row: PeeringDB counts the requests of an address, whoever sends them.
CREATE TABLE peeringdb_pace (
    id            BIGINT PRIMARY KEY,
    -- The next check of somebody may begin then, and after the pause.
    next_at       BIGINT NOT NULL,
    paused_until  BIGINT NOT NULL,
    -- Until then PeeringDB is asked for nobody, sign-ins included.
    refused_until BIGINT NOT NULL,
    fault         TEXT NOT NULL
);
INSERT INTO peeringdb_pace (id, next_at, paused_until, refused_until, fault) VALUES (1, 0, 0, 0, '');
