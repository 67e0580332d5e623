-- Which apps were signed in to with a session, and at which authorization server:
-- that one tells them of its end.

CREATE TABLE session_logins (
    tenant TEXT NOT NULL,
    session TEXT NOT NULL,
    app TEXT NOT NULL,
    server TEXT NOT NULL,
    joined BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, app, server)
) /* keyed */;

CREATE INDEX session_logins_joined ON session_logins (joined);

INSERT INTO session_logins (tenant, session, app, server, joined) SELECT tenant, session, app, '', joined FROM session_apps;

DROP TABLE session_apps;
