-- Why something was revoked, and by whom: for people.

ALTER TABLE revocations ADD COLUMN reason TEXT NOT NULL DEFAULT '';

ALTER TABLE revocations ADD COLUMN actor TEXT NOT NULL DEFAULT '';

CREATE INDEX revocations_tenant ON revocations (tenant, seq);
