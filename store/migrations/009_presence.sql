-- Presence: who is there, how often each device is heard, and what its clock shows.

ALTER TABLE devices
    ADD COLUMN gateway             text NOT NULL DEFAULT '',   -- the device, or any name, through which it reaches us
    ADD COLUMN expected_interval_s double precision CHECK (expected_interval_s BETWEEN 1 AND 31622400),  -- NULL: learnt
    ADD COLUMN clock_policy        text NOT NULL DEFAULT 'keep' CHECK (clock_policy IN ('keep', 'correct')),
    ADD COLUMN offline_reason      text NOT NULL DEFAULT '',   -- of a last will: connection lost, or none
    ADD COLUMN said_at             timestamptz;                -- the device's own time of its last status, if it gave one

-- What ingest measures, apart from what people say: written often, in place.
CREATE TABLE device_presence (
    device_id       integer PRIMARY KEY REFERENCES devices,
    tenant          text NOT NULL,
    heard_at        timestamptz,                 -- when anything of it last arrived
    expected_s      double precision,            -- how often that is expected; NULL: not known yet
    presence        text NOT NULL DEFAULT 'unknown'
                    CHECK (presence IN ('unknown', 'online', 'silent', 'lost', 'site_lost', 'stopped')),
    presence_at     timestamptz,                 -- since when
    clock_offset_s  double precision,            -- its clock less ours: above 0 it is ahead
    clock_drift_ppm double precision,
    clock_at        timestamptz                  -- when that was measured
) WITH (fillfactor = 50);
CREATE INDEX device_presence_tenant ON device_presence (tenant);

-- When a device's clock was found to show something else than before.
CREATE TABLE device_clock (
    tenant   text NOT NULL,
    device   text NOT NULL,
    at       timestamptz NOT NULL,
    offset_s double precision NOT NULL,
    before_s double precision,                   -- NULL: it was the first time
    cause    text NOT NULL CHECK (cause IN ('first', 'set', 'drift')),
    PRIMARY KEY (tenant, device, at)
);

-- What makes right times out of a device's own, where its clock is corrected: from `from_us` of its own time on, up to
-- the next piece of the same run, add `shift_us` and `rate_ppm` of the time since. Never changed where it has been used.
CREATE TABLE clock_pieces (
    tenant   text NOT NULL,
    device   text NOT NULL,
    boot     bigint NOT NULL,                    -- the device's run; -1 where it does not count them
    from_us  bigint NOT NULL,
    used_us  bigint NOT NULL,                    -- up to here, when its last use by another piece than the last was saved
    shift_us bigint NOT NULL,
    rate_ppm integer NOT NULL DEFAULT 0,
    made_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, device, boot, from_us)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['device_presence', 'device_clock', 'clock_pieces'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_ingest, bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON device_presence, clock_pieces TO bellwether_ingest;
GRANT DELETE ON clock_pieces TO bellwether_ingest;  -- a lowest piece that reaches further down is put in anew
GRANT SELECT, INSERT ON device_clock TO bellwether_ingest;
GRANT SELECT ON device_presence, device_clock, clock_pieces TO bellwether_api, bellwether_reader;
GRANT UPDATE (gateway, expected_interval_s, clock_policy) ON devices TO bellwether_api;
