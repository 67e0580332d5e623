-- The resources that a device asks for (RFC 8707), separated by spaces.

ALTER TABLE device_codes ADD COLUMN resources TEXT NOT NULL DEFAULT '';
