-- What lets a program act for a user. It hangs on a row of browser_sessions with the same hash, as everything does
-- that a signed-in browser was given: so tickets, streams and previews of a token end with it by the same rules.
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- What it may be used for, words divided by blanks: all, read, previews.
    scopes TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE REFERENCES browser_sessions (token_hash) ON DELETE CASCADE,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    last_used_at_ms BIGINT
);

CREATE INDEX api_tokens_by_user ON api_tokens (user_id);

-- A link by which whoever has it may see a preview for a while. Its code is signed and is stored nowhere.
CREATE TABLE preview_links (
    id TEXT PRIMARY KEY,
    preview_id TEXT NOT NULL REFERENCES previews (id) ON DELETE CASCADE,
    created_by TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Whom it is for, in its maker's words.
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    -- How often it was opened, and when for the last time.
    opened BIGINT NOT NULL DEFAULT 0,
    opened_at_ms BIGINT
);

CREATE INDEX preview_links_by_preview ON preview_links (preview_id);

-- Codes and grants hang on a signed-in browser, or on a link. Codes live half a minute: those that are lost here are
-- asked for again.
DROP TABLE preview_codes;

CREATE TABLE preview_codes (
    code_hash TEXT PRIMARY KEY,
    preview_id TEXT NOT NULL REFERENCES previews (id) ON DELETE CASCADE,
    nonce_hash TEXT NOT NULL,
    browser_session TEXT REFERENCES browser_sessions (token_hash) ON DELETE CASCADE,
    link_id TEXT REFERENCES preview_links (id) ON DELETE CASCADE,
    expires_at_ms BIGINT NOT NULL,
    CHECK ((browser_session IS NULL) <> (link_id IS NULL))
);

ALTER TABLE preview_grants RENAME TO preview_grants_before;

CREATE TABLE preview_grants (
    token_hash TEXT PRIMARY KEY,
    preview_id TEXT NOT NULL REFERENCES previews (id) ON DELETE CASCADE,
    browser_session TEXT REFERENCES browser_sessions (token_hash) ON DELETE CASCADE,
    link_id TEXT REFERENCES preview_links (id) ON DELETE CASCADE,
    expires_at_ms BIGINT NOT NULL,
    CHECK ((browser_session IS NULL) <> (link_id IS NULL))
);

INSERT INTO preview_grants (token_hash, preview_id, browser_session, expires_at_ms)
    SELECT token_hash, preview_id, browser_session, expires_at_ms FROM preview_grants_before;

DROP TABLE preview_grants_before;

CREATE INDEX preview_grants_by_link ON preview_grants (link_id);
