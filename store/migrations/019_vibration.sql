-- What blocks of vibration say of their machines, one row a block: see detectors/vibration/. `notify` writes it.

CREATE TABLE vibration_verdicts (
    waveform_id uuid PRIMARY KEY,
    device_id   integer NOT NULL REFERENCES devices,
    tenant      text NOT NULL,
    axis        text NOT NULL,
    time        timestamptz NOT NULL,            -- of the block's first sample
    fault       text,                            -- NULL: nothing could be said
    reason      text NOT NULL,
    line        text NOT NULL,                   -- the strongest line, in words; empty without evidence
    not_known   text[] NOT NULL,                 -- the facts that were missing: rpm, bearing, group, support
    velocity_mm_s double precision,
    zone        text CHECK (zone IN ('A', 'B', 'C', 'D')),
    limits_mm_s double precision[]               -- where A, B and C end; NULL without a zone
);
CREATE INDEX vibration_verdicts_axis ON vibration_verdicts (device_id, axis, time DESC);

-- Blocks that nobody has looked at yet.
CREATE TABLE vibration_waiting (
    waveform_id uuid PRIMARY KEY,
    time        timestamptz NOT NULL
);

CREATE FUNCTION wait_for_verdict() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO vibration_waiting (waveform_id, time) VALUES (NEW.id, NEW.time) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER wait_for_verdict AFTER INSERT ON waveforms FOR EACH ROW EXECUTE FUNCTION wait_for_verdict();

ALTER TABLE vibration_verdicts ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON vibration_verdicts TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON vibration_verdicts TO bellwether_ingest, bellwether_notify, bellwether_reader
    USING (true) WITH CHECK (true);

GRANT SELECT ON vibration_verdicts TO bellwether_api, bellwether_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON vibration_verdicts TO bellwether_notify;
GRANT SELECT, DELETE ON vibration_waiting TO bellwether_notify;
-- It keeps a watch of its own over what blocks say: its rules, its memory, its alarms and what the world is told of them.
GRANT SELECT ON waveforms, tenants, rules, retention TO bellwether_notify;
GRANT SELECT (ticket_id, alarm_id, tenant) ON ticket_alarms TO bellwether_notify;
GRANT SELECT, INSERT, UPDATE ON detector_state TO bellwether_notify;
GRANT INSERT ON alarms, outbox TO bellwether_notify;
