-- JSON: what the session's box believes of it, as it last reported.
ALTER TABLE sessions ADD COLUMN attention TEXT;

-- Counts what changes in a user's inbox: the order in which it is told.
ALTER TABLE users ADD COLUMN inbox_seq BIGINT NOT NULL DEFAULT 0;

-- Who may see what happens in a workspace: the one place that says so.
CREATE VIEW workspace_users AS SELECT id AS workspace_id, owner_user_id AS user_id FROM workspaces;

-- Nothing ever wrote to the table of the first version.
DROP TABLE notifications;

-- What a box has told, once each: the id is drawn by the box, and the order is that of seq.
CREATE TABLE notifications (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE,
    -- JSON.
    pane TEXT,
    reason TEXT NOT NULL,
    severity TEXT NOT NULL,
    evidence TEXT NOT NULL,
    confidence BIGINT NOT NULL,
    text TEXT NOT NULL,
    -- JSON: what can be answered at once.
    question TEXT,
    -- By the box's clock: for measuring on one machine.
    signal_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    -- When and why it was no longer true.
    ended_at_ms BIGINT,
    ended_because TEXT
);

CREATE INDEX notifications_by_workspace ON notifications (workspace_id, seq);
CREATE INDEX notifications_by_session ON notifications (session_id) WHERE ended_at_ms IS NULL;

-- What a user has of it.
CREATE TABLE inbox (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    -- The user's inbox_seq when anything of it last changed.
    change_seq BIGINT NOT NULL,
    seen_at_ms BIGINT,
    -- When it was decided what channels are told, those for everything and those for what was not seen.
    pushed_at_ms BIGINT,
    escalated_at_ms BIGINT,
    -- When that has to be thought of again.
    due_at_ms BIGINT,
    PRIMARY KEY (user_id, notification_id)
);

CREATE INDEX inbox_by_change ON inbox (user_id, change_seq);
CREATE INDEX inbox_by_notification ON inbox (notification_id);
CREATE INDEX inbox_due ON inbox (due_at_ms) WHERE due_at_ms IS NOT NULL;

CREATE TABLE session_mutes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    -- For good when there is none.
    until_ms BIGINT,
    PRIMARY KEY (user_id, session_id)
);

CREATE TABLE notification_settings (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- JSON, of a shape that the gateway knows.
    settings TEXT NOT NULL
);

-- With what the gateway signs what it sends to push services.
CREATE TABLE push_keys (
    public_key TEXT PRIMARY KEY,
    private_sealed BLOB NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- A way by which a user is told outside of the console.
CREATE TABLE channels (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Where it leads, as much of it as people may see.
    shown TEXT NOT NULL,
    -- Where it leads, with its secrets. None once that is known to be gone.
    target_sealed BLOB,
    -- So that a browser which subscribes again has one channel, not two.
    target_hash TEXT NOT NULL,
    -- Told only what was not seen in time.
    escalation BIGINT NOT NULL,
    -- Whether it carries words of the terminal.
    includes_text BIGINT NOT NULL,
    -- active, off or gone.
    state TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    accepted_at_ms BIGINT,
    shown_at_ms BIGINT,
    failed_at_ms BIGINT,
    failure TEXT,
    -- Since the last success.
    failures BIGINT NOT NULL,
    UNIQUE (user_id, target_hash)
);

-- What is sent, and what became of it.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    -- show, withdraw or test.
    what TEXT NOT NULL,
    -- What replaces what on a screen.
    tag TEXT NOT NULL,
    urgent BIGINT NOT NULL,
    -- queued, accepted, shown, acted, failed or dropped.
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    leased_by TEXT,
    leased_until_ms BIGINT,
    -- Good for one receipt of each kind.
    receipt_hash TEXT UNIQUE,
    queued_at_ms BIGINT NOT NULL,
    accepted_at_ms BIGINT,
    shown_at_ms BIGINT,
    acted_at_ms BIGINT,
    -- When it was taken back.
    withdrawn_at_ms BIGINT,
    failure TEXT
);

CREATE INDEX deliveries_by_channel ON deliveries (channel_id, queued_at_ms);
CREATE INDEX deliveries_due ON deliveries (due_at_ms) WHERE state = 'queued';

CREATE TABLE delivery_notifications (
    delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    PRIMARY KEY (delivery_id, notification_id)
);

CREATE INDEX delivery_notifications_by_notification ON delivery_notifications (notification_id);
