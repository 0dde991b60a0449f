-- Where a workspace's backups go and what opens them, sealed as one piece.
CREATE TABLE workspace_backups (
    workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    backup_sealed BLOB NOT NULL,
    -- The workspace's change_seq when it was last changed.
    desired_seq BIGINT NOT NULL,
    -- When the recovery sheet was shown. It is shown once.
    sheet_shown_at_ms BIGINT
);
