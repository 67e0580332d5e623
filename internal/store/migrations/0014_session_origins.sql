-- At which external provider a session was begun, for those that are told of its end.

CREATE TABLE session_origins (
    tenant TEXT NOT NULL,
    session TEXT NOT NULL,
    provider TEXT NOT NULL,
    hint TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (tenant, session)
) /* keyed */;

CREATE INDEX session_origins_expires ON session_origins (expires);
