-- What people and administrators do for themselves, and what several servers
-- must not do at once.

-- Who does a job now: one server at a time, until the lease runs out.
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
