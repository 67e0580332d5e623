-- The ledger: objects of every kind, how to find them, and how they came to be.

CREATE TABLE heads (
    tenant TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
) /* keyed */;

CREATE TABLE objects (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    owner TEXT NOT NULL,
    data TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, kind, id)
);

CREATE INDEX objects_owner ON objects (tenant, owner, kind, id) WHERE owner <> '';

-- Unique keys (uniq 1) and index entries (uniq 0); value holds the encoded parts.
CREATE TABLE object_keys (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    id TEXT NOT NULL,
    uniq BIGINT NOT NULL,
    PRIMARY KEY (tenant, kind, name, value, id)
) /* keyed */;

CREATE UNIQUE INDEX object_keys_unique ON object_keys (tenant, kind, name, value) WHERE uniq = 1;

CREATE INDEX object_keys_object ON object_keys (tenant, kind, id);

CREATE TABLE object_refs (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    field TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    on_delete BIGINT NOT NULL,
    PRIMARY KEY (tenant, kind, id, field, target_kind, target_id)
) /* keyed */;

CREATE INDEX object_refs_target ON object_refs (tenant, target_kind, target_id, kind, id, field);

CREATE TABLE changes (
    tenant TEXT NOT NULL,
    seq BIGINT NOT NULL,
    part BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    time BIGINT NOT NULL,
    actor_type TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    operation TEXT NOT NULL,
    created BIGINT NOT NULL,
    owner TEXT NOT NULL,
    data_before TEXT,
    data_after TEXT,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant, seq, part)
);

CREATE INDEX changes_object ON changes (tenant, kind, id, seq, part);
