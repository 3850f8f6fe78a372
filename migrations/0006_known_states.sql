-- What a backend elsewhere last said of people, so that they go on while it is
-- away, also after a restart and on other replicas.

CREATE TABLE known_states (
    sub      TEXT PRIMARY KEY REFERENCES users (sub) ON DELETE CASCADE,
    -- JSON array: names of groups elsewhere may hold any character.
    groups   TEXT NOT NULL,
    totp     BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    asked_at BIGINT NOT NULL
);
CREATE INDEX known_states_asked ON known_states (asked_at);
