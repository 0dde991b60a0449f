-- Invites lead into organisations, too, and tell who made them.

ALTER TABLE invites RENAME TO invites_before;

CREATE TABLE invites (
    id TEXT PRIMARY KEY,
    code_hash TEXT NOT NULL UNIQUE,
    uses_left BIGINT NOT NULL,
    -- What its users may use at once: a workspace, an organisation or neither.
    workspace_id TEXT REFERENCES workspaces (id) ON DELETE CASCADE,
    organization_id TEXT REFERENCES organizations (id) ON DELETE CASCADE,
    role TEXT CHECK (role IN ('viewer', 'editor', 'owner')),
    -- Nobody is the operator at the command line. Of others an invite is worth no more than their rights are now.
    created_by TEXT REFERENCES users (id) ON DELETE CASCADE,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    CHECK (workspace_id IS NULL OR organization_id IS NULL),
    CHECK ((workspace_id IS NULL AND organization_id IS NULL) = (role IS NULL))
);

INSERT INTO invites (id, code_hash, uses_left, workspace_id, role, created_at_ms, expires_at_ms)
    SELECT id, code_hash, uses_left, workspace_id, role, created_at_ms, expires_at_ms FROM invites_before;

DROP TABLE invites_before;
