-- The alarm states of ISA-18.2 whole: latches, out of service, and suppression by design with what it follows from.

ALTER TABLE alarms
    ADD COLUMN latch             boolean NOT NULL DEFAULT false,  -- stays after its return, until somebody resets it
    ADD COLUMN quiet_with_parent boolean NOT NULL DEFAULT false,  -- while what its device hangs on is silent
    ADD COLUMN opens_ticket      boolean NOT NULL DEFAULT false,  -- is told when it comes back from where it was quiet
    ADD COLUMN quiet_because     text NOT NULL DEFAULT '';        -- suppressed, or out of service: by what

ALTER TABLE alarm_events DROP CONSTRAINT alarm_events_kind_check;
ALTER TABLE alarm_events ADD CONSTRAINT alarm_events_kind_check CHECK (kind IN (
    'raised', 'escalated', 'returned', 'followed',
    'acknowledged', 'reset', 'shelved', 'unshelved',
    'suppressed', 'unsuppressed', 'taken_out_of_service', 'returned_to_service'));

-- What a device hangs on, beside its gateway: the asset that powers it, or that it is a part of.
ALTER TABLE devices ADD COLUMN parent text NOT NULL DEFAULT '';
CREATE INDEX devices_parent ON devices (tenant, parent) WHERE parent <> '';
CREATE INDEX devices_gateway ON devices (tenant, gateway) WHERE gateway <> '';

-- Work is planned on a device, or on all of a site: what is raised meanwhile is suppressed by design. They may overlap.
CREATE TABLE maintenance_windows (
    id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant    text NOT NULL REFERENCES tenants,
    device    text,
    site      text,
    begins_at timestamptz NOT NULL,
    ends_at   timestamptz NOT NULL,              -- moved to when it was ended, where somebody did
    reason    text NOT NULL,
    made_by   text NOT NULL,
    made_at   timestamptz NOT NULL,
    ended_by  text NOT NULL DEFAULT '',
    CHECK ((device IS NULL) <> (site IS NULL)),
    CHECK (begins_at <= ends_at)
);
CREATE INDEX maintenance_windows_tenant ON maintenance_windows (tenant, ends_at DESC, id DESC);

-- A rule is taken out for a device, or one point of it. '' is every point.
CREATE TABLE out_of_service (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant        text NOT NULL REFERENCES tenants,
    rule          text NOT NULL,
    device        text NOT NULL,
    point         text NOT NULL DEFAULT '',
    reason        text NOT NULL,
    until         timestamptz,                   -- NULL: until it is given back
    taken_at      timestamptz NOT NULL,
    taken_by      text NOT NULL,
    given_back_at timestamptz,
    given_back_by text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX out_of_service_once ON out_of_service (tenant, device, rule, point) WHERE given_back_at IS NULL;
CREATE INDEX out_of_service_tenant ON out_of_service (tenant, taken_at DESC, id DESC);

-- What a tenant says about its alarms; without a row, as alarms/policy.py has it.
CREATE TABLE alarm_policies (
    tenant          text PRIMARY KEY REFERENCES tenants,
    longest_shelf_h integer NOT NULL CHECK (longest_shelf_h BETWEEN 1 AND 8760),
    changed_at      timestamptz NOT NULL,
    changed_by      text NOT NULL
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['maintenance_windows', 'out_of_service', 'alarm_policies'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_ingest, bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT ON maintenance_windows, out_of_service TO bellwether_ingest, bellwether_notify, bellwether_reader;
GRANT SELECT, INSERT, UPDATE (ends_at, ended_by) ON maintenance_windows TO bellwether_api;
GRANT SELECT, INSERT, UPDATE (given_back_at, given_back_by) ON out_of_service TO bellwether_api;
GRANT UPDATE (given_back_at, given_back_by) ON out_of_service TO bellwether_notify;
GRANT SELECT, INSERT, UPDATE ON alarm_policies TO bellwether_api;
GRANT UPDATE (parent) ON devices TO bellwether_api;

-- Acts, and where people's data stand: see 026.
DROP TRIGGER audited ON devices;
DROP TRIGGER audited_changes ON devices;
SELECT audit_table('devices', 'device', '{device}',
                   '{kind,model,site,gateway,parent,expected_interval_s,clock_policy,retired_at,replaced_by}');
SELECT audit_table('maintenance_windows', 'maintenance', '{id}', '{device,site,begins_at,ends_at}', '{reason,ended_by}');
SELECT audit_table('out_of_service', 'out_of_service', '{id}', '{rule,device,point,until,given_back_at}',
                   '{reason,given_back_by}');
SELECT audit_table('alarm_policies', 'alarm_policy', '{tenant}', '{longest_shelf_h}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('alarms', 'quiet_because', 'id', 'text', 'mentions in reasons', 'the history of the equipment', 'while it is quiet'),
    ('maintenance_windows', 'made_by', 'id', 'login', 'who planned maintenance', 'accountability', 'with the window'),
    ('maintenance_windows', 'ended_by', 'id', 'login', 'who ended maintenance', 'accountability', 'with the window'),
    ('maintenance_windows', 'reason', 'id', 'text', 'mentions in reasons', 'the history of the equipment', 'with the window'),
    ('out_of_service', 'taken_by', 'id', 'login', 'who took a rule out of service', 'accountability', 'for good'),
    ('out_of_service', 'given_back_by', 'id', 'login', 'who returned a rule to service', 'accountability', 'for good'),
    ('out_of_service', 'reason', 'id', 'text', 'mentions in reasons', 'the history of the equipment', 'for good'),
    ('alarm_policies', 'changed_by', 'tenant', 'login', 'who said what holds for all alarms', 'accountability', 'until it is changed');
