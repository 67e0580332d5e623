-- What people have granted to apps, and what stands for it.

CREATE TABLE grants (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    server TEXT NOT NULL,
    client TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session TEXT NOT NULL,
    issuer TEXT NOT NULL,
    scopes TEXT NOT NULL,
    terms TEXT NOT NULL,
    created BIGINT NOT NULL,
    revoked BIGINT NOT NULL,
    used BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    refresh_until BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
) /* keyed */;

CREATE INDEX grants_user ON grants (tenant, user_id, client, id);

CREATE INDEX grants_client ON grants (tenant, client, id);

CREATE INDEX grants_session ON grants (tenant, session) WHERE session <> '';

CREATE INDEX grants_created ON grants (created);

CREATE TABLE codes (
    tenant TEXT NOT NULL,
    hash TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash)
) /* keyed */;

CREATE INDEX codes_grant ON codes (tenant, grant_id);

CREATE INDEX codes_created ON codes (created);

CREATE TABLE refresh_tokens (
    tenant TEXT NOT NULL,
    hash TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    created BIGINT NOT NULL,
    used BIGINT NOT NULL,
    idle_until BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    replaced BIGINT NOT NULL,
    salt TEXT NOT NULL,
    PRIMARY KEY (tenant, hash)
) /* keyed */;

CREATE INDEX refresh_tokens_grant ON refresh_tokens (tenant, grant_id);

CREATE INDEX refresh_tokens_created ON refresh_tokens (created);

CREATE INDEX refresh_tokens_replaced ON refresh_tokens (replaced) WHERE replaced > 0;

CREATE TABLE access_tokens (
    tenant TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    jti TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (tenant, grant_id, jti)
) /* keyed */;

CREATE INDEX access_tokens_expires ON access_tokens (expires);

CREATE TABLE device_codes (
    tenant TEXT NOT NULL,
    hash TEXT NOT NULL,
    user_code TEXT NOT NULL,
    server TEXT NOT NULL,
    client TEXT NOT NULL,
    scopes TEXT NOT NULL,
    jkt TEXT NOT NULL,
    state TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    poll_interval BIGINT NOT NULL,
    polled BIGINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash)
) /* keyed */;

CREATE UNIQUE INDEX device_codes_user ON device_codes (tenant, user_code);

CREATE INDEX device_codes_expires ON device_codes (expires);
