-- Nothing ever wrote to the table of the first version.
DROP TABLE previews;

-- A loopback port of a workspace's box, with an origin of its own.
CREATE TABLE previews (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    port BIGINT NOT NULL,
    -- Who may see it: private or public.
    visibility TEXT NOT NULL,
    -- How the dev server is spoken to: standard, localhost or transparent.
    mode TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, port)
);

-- Single use, and bound to a nonce that the browser got from the preview's own host before.
CREATE TABLE preview_codes (
    code_hash TEXT PRIMARY KEY,
    preview_id TEXT NOT NULL REFERENCES previews (id) ON DELETE CASCADE,
    nonce_hash TEXT NOT NULL,
    -- Signing out takes back what was given.
    browser_session TEXT NOT NULL REFERENCES browser_sessions (token_hash) ON DELETE CASCADE,
    expires_at_ms BIGINT NOT NULL
);

-- What a browser that was let in holds, for one preview each.
CREATE TABLE preview_grants (
    token_hash TEXT PRIMARY KEY,
    preview_id TEXT NOT NULL REFERENCES previews (id) ON DELETE CASCADE,
    browser_session TEXT NOT NULL REFERENCES browser_sessions (token_hash) ON DELETE CASCADE,
    expires_at_ms BIGINT NOT NULL
);

-- JSON: what listens on the box, as it last reported.
ALTER TABLE workspace_instances ADD COLUMN ports TEXT;
