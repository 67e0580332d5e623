-- Browser sessions, and requests of browsers that wait for a person.

CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    hash TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    idle_until BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    auth_time BIGINT NOT NULL,
    password_at BIGINT NOT NULL,
    factor_at BIGINT NOT NULL,
    amr TEXT NOT NULL,
    acr TEXT NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) /* keyed */;

CREATE UNIQUE INDEX sessions_hash ON sessions (tenant, hash);

CREATE INDEX sessions_user ON sessions (tenant, user_id, created);

CREATE INDEX sessions_idle ON sessions (idle_until);

CREATE TABLE session_apps (
    tenant TEXT NOT NULL,
    session TEXT NOT NULL,
    app TEXT NOT NULL,
    joined BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, app)
) /* keyed */;

CREATE INDEX session_apps_joined ON session_apps (joined);

CREATE TABLE waiting (
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL,
    hash TEXT NOT NULL,
    browser TEXT NOT NULL,
    data TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (tenant, purpose, hash)
) /* keyed */;

CREATE INDEX waiting_expires ON waiting (expires);
