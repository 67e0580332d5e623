-- What the use of second factors leaves behind.

CREATE TABLE passkey_use (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    counter BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
) /* keyed */;

CREATE INDEX passkey_use_user ON passkey_use (tenant, user_id);

CREATE TABLE recovery_codes (
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id, hash)
) /* keyed */;
