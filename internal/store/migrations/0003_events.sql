-- The system log. The columns are what it is searched by; data is the event.

CREATE TABLE events (
    tenant TEXT NOT NULL,
    time BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    actor TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    request TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (tenant, time, id)
);

CREATE INDEX events_type ON events (tenant, type, time, id);

CREATE INDEX events_actor ON events (tenant, actor, time, id);

CREATE INDEX events_request ON events (tenant, request) WHERE request <> '';
