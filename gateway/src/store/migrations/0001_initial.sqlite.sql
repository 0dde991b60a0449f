-- Times are milliseconds since 1970. Sequence numbers order things; times never do.

CREATE TABLE installation (
    id TEXT PRIMARY KEY,
    -- Drawn anew when the store is restored from a copy.
    store_incarnation TEXT NOT NULL,
    -- Counts changes of the CAs and revoked names that boxes must know.
    trust_generation BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL
);

CREATE TABLE certificate_authorities (
    fingerprint TEXT PRIMARY KEY,
    certificate_pem TEXT NOT NULL,
    key_sealed BLOB NOT NULL,
    created_at_ms BIGINT NOT NULL
);

CREATE TABLE gateways (
    id TEXT PRIMARY KEY,
    link_address TEXT NOT NULL,
    seen_at_ms BIGINT NOT NULL
);

-- Periodic jobs run where their lease is held.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at_ms BIGINT NOT NULL
);

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at_ms BIGINT NOT NULL
);

-- Single use: taken by DELETE ... RETURNING. Only hashes of secrets are stored.
CREATE TABLE sign_in_codes (
    code_hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at_ms BIGINT NOT NULL
);

CREATE TABLE browser_sessions (
    token_hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    owner_user_id TEXT NOT NULL REFERENCES users (id),
    organization_id TEXT REFERENCES organizations (id),
    name TEXT NOT NULL,
    -- Incremented in every transaction that changes anything of the workspace: generation and SSE id.
    change_seq BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    UNIQUE (owner_user_id, name)
);

CREATE TABLE workspace_volumes (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    provider_id TEXT,
    created_at_ms BIGINT NOT NULL
);

CREATE TABLE workspace_instances (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- The highest epoch owns the workspace.
    epoch BIGINT NOT NULL,
    public_ip TEXT,
    tailscale_ip TEXT,
    door_port BIGINT,
    boot_id TEXT,
    agent_version TEXT,
    -- Incremented at each hello; writes of an older link are refused.
    link_epoch BIGINT NOT NULL,
    telemetry TEXT,
    enrolled_at_ms BIGINT NOT NULL,
    retired_at_ms BIGINT,
    UNIQUE (workspace_id, epoch)
);

-- Which gateway holds an instance's link.
CREATE TABLE links (
    instance_id TEXT PRIMARY KEY REFERENCES workspace_instances (id) ON DELETE CASCADE,
    gateway_id TEXT NOT NULL,
    link_epoch BIGINT NOT NULL,
    connected_at_ms BIGINT NOT NULL
);

CREATE TABLE enrollment_tokens (
    secret_hash TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    expires_at_ms BIGINT NOT NULL
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    template TEXT NOT NULL,
    -- As the box last reported it; "starting" until then.
    state TEXT NOT NULL,
    message TEXT,
    attachments BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    -- The workspace's change_seq when anything of this row, and when its desired part, last changed.
    change_seq BIGINT NOT NULL,
    desired_seq BIGINT NOT NULL,
    -- A tombstone: set when the session is deleted ...
    ended_at_ms BIGINT,
    -- ... and told to boxes until one has reported that the session is gone.
    gone_at_ms BIGINT
);

CREATE UNIQUE INDEX sessions_name ON sessions (workspace_id, name) WHERE ended_at_ms IS NULL;

CREATE TABLE terminal_tickets (
    ticket_hash TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Signing out takes back what was given.
    browser_session TEXT NOT NULL REFERENCES browser_sessions (token_hash) ON DELETE CASCADE,
    expires_at_ms BIGINT NOT NULL
);

CREATE TABLE previews (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    port BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    change_seq BIGINT NOT NULL
);

CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    text TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    seen_at_ms BIGINT,
    change_seq BIGINT NOT NULL
);

-- Events and the high-water mark of their stream change in one transaction.
CREATE TABLE event_streams (
    stream TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES workspace_instances (id) ON DELETE CASCADE,
    stored_seq BIGINT NOT NULL
);

CREATE TABLE events (
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    instance_id TEXT NOT NULL REFERENCES workspace_instances (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
);

CREATE INDEX events_by_kind ON events (kind, received_at_ms);
