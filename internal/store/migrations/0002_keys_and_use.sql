-- What changes by use and not by decision.

CREATE TABLE signing_keys (
    tenant TEXT NOT NULL,
    server TEXT NOT NULL,
    kid TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_use TEXT NOT NULL,
    state TEXT NOT NULL,
    private TEXT NOT NULL,
    public TEXT NOT NULL,
    created BIGINT NOT NULL,
    activates BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (tenant, server, kid)
);

CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) /* keyed */;

CREATE TABLE revocations (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    issuer TEXT NOT NULL,
    value TEXT NOT NULL,
    issued_before BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    created BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (tenant, kind, issuer, value)
);

CREATE UNIQUE INDEX revocations_seq ON revocations (seq);

CREATE INDEX revocations_expires ON revocations (expires) WHERE expires > 0;

CREATE TABLE used_once (
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL,
    hash TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (tenant, purpose, hash)
) /* keyed */;

CREATE INDEX used_once_expires ON used_once (expires);

CREATE TABLE user_state (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    last_sign_in BIGINT NOT NULL,
    last_failure BIGINT NOT NULL,
    failed_attempts BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
) /* keyed */;

CREATE TABLE key_state (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    last_used BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
) /* keyed */;

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated BIGINT NOT NULL
) /* keyed */;
