-- Sign-in by an issuer of identities.

-- Users as the issuer knows them: by its identifier and its subject, and by nothing that changes hands.
CREATE TABLE issuer_subjects (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX issuer_subjects_by_user ON issuer_subjects (user_id);

-- Sign-ins that browsers have begun at the issuer, by the hash of what a cookie of theirs holds.
CREATE TABLE issuer_flows (
    ticket_hash TEXT PRIMARY KEY,
    expires_at_ms BIGINT NOT NULL
);

-- When a sign-in ends, however much it is used; without it, by the program's own bound.
ALTER TABLE browser_sessions ADD COLUMN ends_at_ms BIGINT;
-- 1: a token of the issuer's that a program says with each request. It is no browser's, and no cookie.
ALTER TABLE browser_sessions ADD COLUMN bearer BIGINT NOT NULL DEFAULT 0;
