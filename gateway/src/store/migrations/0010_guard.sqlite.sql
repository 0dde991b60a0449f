-- The audit record becomes a chain: each entry's hash covers the entry and the hash before it, so that one which was
-- changed, taken away or moved is found (`gateway audit verify`). Entries may be nobody's, such as a refused sign-in,
-- and of no workspace; and they say from where and with which outcome. The rows are moved by the program, which
-- computes the hashes.
ALTER TABLE audit RENAME TO audit_before;
DROP TRIGGER audit_is_never_changed;
DROP TRIGGER audit_is_never_shortened;
DROP INDEX audit_by_workspace;

CREATE TABLE audit (
    -- Without gaps.
    seq INTEGER PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    workspace_id TEXT,
    user_id TEXT,
    request_id TEXT,
    -- From where: an address, the command line, the gateway itself.
    source TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    -- JSON, of a shape that the action knows.
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE INDEX audit_by_workspace ON audit (workspace_id, seq);
CREATE INDEX audit_by_user ON audit (user_id, seq);

-- The newest entry, in one row: what the next one is chained to, and what tells that the end was cut off.
CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);

INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, '');

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit record is append-only');
END;

CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit record is append-only');
END;
