-- A link by which one person may watch one session for a while. The code in the link is single use: opening it
-- puts the guest's token in its place. Only hashes of both are stored.
CREATE TABLE shares (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_by TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- What others see of the guest.
    name TEXT NOT NULL,
    code_hash TEXT UNIQUE,
    guest_token_hash TEXT UNIQUE,
    created_at_ms BIGINT NOT NULL,
    opened_at_ms BIGINT,
    expires_at_ms BIGINT NOT NULL
);

CREATE INDEX shares_by_session ON shares (session_id);

-- Tickets live half a minute: those that are lost here are asked for again.
DROP TABLE terminal_tickets;

CREATE TABLE terminal_tickets (
    ticket_hash TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    -- Who was given it, a user's browser or a guest. Signing out, and ending a share, takes back what was given.
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    browser_session TEXT REFERENCES browser_sessions (token_hash) ON DELETE CASCADE,
    share_id TEXT REFERENCES shares (id) ON DELETE CASCADE,
    -- How the terminal appears to others.
    name TEXT NOT NULL,
    device TEXT NOT NULL,
    role TEXT NOT NULL,
    client_id TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    CHECK ((user_id IS NULL) = (browser_session IS NULL)),
    CHECK ((user_id IS NULL) <> (share_id IS NULL))
);
