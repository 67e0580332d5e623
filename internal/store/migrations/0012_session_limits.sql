-- How long a session lasts without use is said by the rule that it was begun under;
-- 0: as those of before, by the server's own limit.

ALTER TABLE sessions ADD COLUMN idle_limit BIGINT NOT NULL DEFAULT 0;
