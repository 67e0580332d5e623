-- The passkey in the device that a session was begun or raised with; empty: none was used.

ALTER TABLE sessions ADD COLUMN passkey TEXT NOT NULL DEFAULT '';
