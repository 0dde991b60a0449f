-- CAs are rotated: one is added, boxes acknowledge it, it signs in place of the one before, and that one is removed. A CA's
-- number is the trust generation that brought it, so no number is given twice.
ALTER TABLE certificate_authorities ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE certificate_authorities ADD COLUMN signing BIGINT NOT NULL DEFAULT 0;

UPDATE certificate_authorities SET signing = 1 WHERE fingerprint =
    (SELECT fingerprint FROM certificate_authorities ORDER BY created_at_ms DESC, fingerprint LIMIT 1);

CREATE UNIQUE INDEX one_authority_signs ON certificate_authorities (signing) WHERE signing = 1;

-- What a box's link showed last: the CA of its certificate, and until when that counts.
ALTER TABLE workspace_instances ADD COLUMN certificate_ca TEXT;
ALTER TABLE workspace_instances ADD COLUMN certificate_until_ms BIGINT;
-- The newest trust generation that the box has stored.
ALTER TABLE workspace_instances ADD COLUMN trust_generation BIGINT NOT NULL DEFAULT 0;

UPDATE workspace_instances SET certificate_ca =
    (SELECT fingerprint FROM certificate_authorities WHERE signing = 1);
