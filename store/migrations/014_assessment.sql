-- Assessment: how well each machine is by the hour, and what is probably wrong with it.

-- What is normal for a machine, see prognosis/health.py. `until`: so far its readings have been looked at.
CREATE TABLE normals (
    device_id integer PRIMARY KEY REFERENCES devices,
    tenant    text NOT NULL,
    normal    jsonb NOT NULL,
    until     timestamptz NOT NULL
);

-- An hour of a machine that was running. `health` is the course that wear lowers and chance does not lift, `measured` the
-- hour's own: both 0 to 100. `worst_point` is the one that pulls it down most.
CREATE TABLE health (
    device_id integer NOT NULL REFERENCES devices,
    hour      timestamptz NOT NULL,
    tenant    text NOT NULL,
    health    real NOT NULL,
    measured  real NOT NULL,
    worst_point text NOT NULL,
    PRIMARY KEY (device_id, hour)
);

-- The failure modes that fit an open ticket best, as of its readings up to `until`: see prognosis/diagnosis.py.
CREATE TABLE diagnoses (
    ticket_id uuid PRIMARY KEY REFERENCES tickets,
    tenant    text NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT now(),
    until     timestamptz NOT NULL,
    abstains  text NOT NULL,                     -- why nothing is said; empty where something is
    other     real NOT NULL,                     -- the probability that it is none of them
    suspects  jsonb NOT NULL                     -- the likeliest first
);

CREATE FUNCTION tell_of_diagnosis() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    SELECT NEW.tenant, 'ticket.diagnosed', jsonb_build_object('ticket_id', t.id, 'device', t.device, 'at', NEW.made_at)
    FROM tickets t WHERE t.id = NEW.ticket_id;
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_diagnosis AFTER INSERT OR UPDATE ON diagnoses FOR EACH ROW EXECUTE FUNCTION tell_of_diagnosis();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['normals', 'health', 'diagnoses'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_ingest, bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT ON normals, health, diagnoses TO bellwether_api, bellwether_reader;
GRANT SELECT, INSERT, UPDATE ON normals, health, diagnoses TO bellwether_notify;
-- It looks at readings after the event, where ingest never waits for it.
GRANT SELECT ON devices, streams, readings, readings_1m, readings_1h, ticket_alarms TO bellwether_notify;
