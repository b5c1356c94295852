-- Noise: alarms that chatter are held, what stands unchanged is stale, and many at once at one site are a flood.

ALTER TABLE alarms
    ADD COLUMN rises      bigint NOT NULL DEFAULT 1,          -- how often its score rose above the limit
    ADD COLUMN chatters   integer NOT NULL DEFAULT 0,         -- how often it was found to chatter
    ADD COLUMN held_s     double precision,                   -- must be calm for so long to return; NULL: does not chatter
    ADD COLUMN changed_at timestamptz;                        -- raised, or got worse, by our clock
UPDATE alarms SET changed_at = raised_at;
ALTER TABLE alarms ALTER changed_at SET NOT NULL, ALTER changed_at SET DEFAULT now();

ALTER TABLE alarm_events DROP CONSTRAINT alarm_events_kind_check;
ALTER TABLE alarm_events ADD CONSTRAINT alarm_events_kind_check CHECK (kind IN (
    'raised', 'escalated', 'returned', 'followed', 'chattering',
    'acknowledged', 'reset', 'shelved', 'unshelved',
    'suppressed', 'unsuppressed', 'taken_out_of_service', 'returned_to_service'));
CREATE INDEX alarm_events_raised ON alarm_events (recorded_at) WHERE kind = 'raised';

ALTER TABLE alarm_policies
    ADD COLUMN chatter_raises integer NOT NULL DEFAULT 3 CHECK (chatter_raises BETWEEN 2 AND 20),
    ADD COLUMN chatter_s      integer NOT NULL DEFAULT 60 CHECK (chatter_s BETWEEN 1 AND 3600),
    ADD COLUMN flood_alarms   integer NOT NULL DEFAULT 10 CHECK (flood_alarms BETWEEN 2 AND 1000),
    ADD COLUMN flood_s        integer NOT NULL DEFAULT 600 CHECK (flood_s BETWEEN 60 AND 86400),
    ADD COLUMN stale_h        integer NOT NULL DEFAULT 24 CHECK (stale_h BETWEEN 1 AND 8760);
DROP TRIGGER audited ON alarm_policies;
DROP TRIGGER audited_changes ON alarm_policies;
SELECT audit_table('alarm_policies', 'alarm_policy', '{tenant}',
                   '{longest_shelf_h,chatter_raises,chatter_s,flood_alarms,flood_s,stale_h}');

-- One flood of a site. '' is the machines that stand at none.
CREATE TABLE alarm_floods (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant      text NOT NULL REFERENCES tenants,
    site        text NOT NULL,
    since       timestamptz NOT NULL,            -- when the first of its alarms came
    began_at    timestamptz NOT NULL,            -- when there were too many
    ended_at    timestamptz,
    most_alarms integer NOT NULL,                -- within the tenant's span, at its worst
    first_out   uuid NOT NULL REFERENCES alarms  -- the alarm whose departure began first
);
CREATE UNIQUE INDEX alarm_floods_one ON alarm_floods (tenant, site) WHERE ended_at IS NULL;
CREATE INDEX alarm_floods_tenant ON alarm_floods (tenant, began_at DESC, id DESC);

CREATE FUNCTION tell_of_flood() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    VALUES (NEW.tenant, CASE WHEN NEW.ended_at IS NULL THEN 'flood.began' ELSE 'flood.ended' END,
            jsonb_build_object('flood_id', NEW.id, 'site', NEW.site, 'first_out', NEW.first_out));
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_flood AFTER INSERT OR UPDATE OF ended_at ON alarm_floods
    FOR EACH ROW EXECUTE FUNCTION tell_of_flood();

ALTER TABLE alarm_floods ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON alarm_floods TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON alarm_floods TO bellwether_notify, bellwether_reader USING (true) WITH CHECK (true);

GRANT SELECT ON alarm_floods TO bellwether_api, bellwether_reader;
GRANT SELECT, INSERT, UPDATE (ended_at, most_alarms) ON alarm_floods TO bellwether_notify;
GRANT SELECT ON alarm_policies TO bellwether_ingest, bellwether_notify;
