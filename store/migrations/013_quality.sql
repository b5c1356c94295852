-- The quality of data: what an hour of a stream was like, counted once it is over, so that a grade never scans readings.

CREATE TABLE quality_hours (
    stream_id       integer NOT NULL REFERENCES streams ON DELETE CASCADE,
    hour            timestamptz NOT NULL,
    tenant          text NOT NULL,
    readings        integer NOT NULL,
    late            integer NOT NULL,            -- older than one that was stored before
    mistimed        integer NOT NULL,            -- from the future, or of a clock that is known to be wrong
    impossible      integer NOT NULL,            -- outside what the quantity can be
    contested       integer NOT NULL,            -- other values that came for a time at which one stands
    distinct_values integer NOT NULL,
    PRIMARY KEY (stream_id, hour)
);

-- How far a machine's hours are counted.
CREATE TABLE quality_looks (
    device_id integer PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    tenant    text NOT NULL,
    began     timestamptz NOT NULL,
    until     timestamptz NOT NULL
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['quality_hours', 'quality_looks'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_ingest, bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT ON quality_hours, quality_looks TO bellwether_api, bellwether_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON quality_hours, quality_looks TO bellwether_notify;
GRANT SELECT ON devices, streams, readings, contested TO bellwether_notify;
