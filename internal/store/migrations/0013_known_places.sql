-- With what and from where people have signed in, to tell what is new about a sign-in.
-- A device is the hash of a browser's secret and the person's id; places are in
-- millionths of a degree. And how unlike those a session was when it was begun.

CREATE TABLE known_places (
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    device TEXT NOT NULL,
    network TEXT NOT NULL,
    country TEXT NOT NULL,
    located BIGINT NOT NULL,
    latitude BIGINT NOT NULL,
    longitude BIGINT NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id, device, network)
) /* keyed */;

CREATE INDEX known_places_user ON known_places (tenant, user_id, last);

CREATE INDEX known_places_last ON known_places (last);

ALTER TABLE sessions ADD COLUMN risk TEXT NOT NULL DEFAULT '';
