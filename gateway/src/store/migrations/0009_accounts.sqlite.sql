-- Who may do what in which workspace, and how people prove who they are.

-- Refused everywhere since: an operator has blocked the account.
ALTER TABLE users ADD COLUMN blocked_at_ms BIGINT;

-- A role is viewer, editor or owner.
CREATE TABLE organization_members (
    organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

CREATE INDEX organization_members_by_user ON organization_members (user_id);

CREATE TABLE workspace_members (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);

CREATE INDEX workspace_members_by_user ON workspace_members (user_id);

-- Every way in which somebody may use a workspace: it is theirs or their organisation's, or they were added to it.
CREATE VIEW workspace_ways AS
    SELECT id AS workspace_id, owner_user_id AS user_id, 'owner' AS role
        FROM workspaces WHERE organization_id IS NULL
    UNION ALL
    SELECT workspaces.id, organization_members.user_id, organization_members.role
        FROM workspaces
        JOIN organization_members ON organization_members.organization_id = workspaces.organization_id
    UNION ALL
    SELECT workspace_id, user_id, role FROM workspace_members;

DROP VIEW workspace_users;

-- Who may see what happens in a workspace, and do how much: the one place that says so. The best way counts; rank 1 is
-- a viewer's, 2 an editor's, 3 an owner's.
CREATE VIEW workspace_users AS
    SELECT workspace_ways.workspace_id AS workspace_id, workspace_ways.user_id AS user_id,
        MAX(CASE workspace_ways.role WHEN 'owner' THEN 3 WHEN 'editor' THEN 2 ELSE 1 END) AS rank
    FROM workspace_ways
    JOIN users ON users.id = workspace_ways.user_id AND users.blocked_at_ms IS NULL
    GROUP BY workspace_ways.workspace_id, workspace_ways.user_id;

-- A sign-in as people see it: which device, since when, used when.
ALTER TABLE browser_sessions ADD COLUMN id TEXT;
ALTER TABLE browser_sessions ADD COLUMN device TEXT;
ALTER TABLE browser_sessions ADD COLUMN used_at_ms BIGINT;
-- When somebody last proved who they are in it: what is dangerous wants that to be lately.
ALTER TABLE browser_sessions ADD COLUMN proved_at_ms BIGINT NOT NULL DEFAULT 0;

-- Hexadecimal digits, those among them that no identifier has replaced.
UPDATE browser_sessions SET id = 'dev-' || replace(replace(replace(replace(
    lower(hex(randomblob(13))), '0', 'g'), '1', 'h'), '8', 'i'), '9', 'j');

CREATE UNIQUE INDEX browser_sessions_id ON browser_sessions (id);

-- How often somebody may still make an account with a code, of which the hash is stored, and what they may use then.
CREATE TABLE invites (
    id TEXT PRIMARY KEY,
    code_hash TEXT NOT NULL UNIQUE,
    uses_left BIGINT NOT NULL,
    workspace_id TEXT REFERENCES workspaces (id) ON DELETE CASCADE,
    role TEXT CHECK (role IN ('viewer', 'editor', 'owner')),
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    CHECK ((workspace_id IS NULL) = (role IS NULL))
);

CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- In the PHC string format, with algorithm, parameters and salt.
    hash TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL
);

CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- What the authenticator calls it.
    credential_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- JSON: the public key and its counter.
    credential TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    used_at_ms BIGINT
);

CREATE INDEX passkeys_by_user ON passkeys (user_id);

-- What a browser was asked to sign with a passkey, once.
CREATE TABLE passkey_challenges (
    id_hash TEXT PRIMARY KEY,
    -- register or sign_in.
    purpose TEXT NOT NULL,
    -- Whose passkey it will be. Who signs in is known from the answer.
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    -- JSON.
    state TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);
