-- What terminals of a workspace find on its box. Values are sealed as one piece, so that no part of it can be
-- exchanged for another's.
CREATE TABLE workspace_environments (
    workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    environment_sealed BLOB NOT NULL,
    -- The workspace's change_seq when it was last changed.
    desired_seq BIGINT NOT NULL,
    -- JSON, as the box last reported it.
    report TEXT
);
