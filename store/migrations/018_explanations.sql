-- Explanations: past faults that are like a present one, and who said what of a machine.

-- How a machine's points moved in the fault that a ticket is about. Made with the ticket's diagnosis, and anew with each later one. `signature` is by role, see prognosis/episodes.py;
-- `kind` is the machine's as of then.
CREATE TABLE episodes (
    ticket_id uuid PRIMARY KEY REFERENCES tickets,
    tenant    text NOT NULL,
    device_id integer NOT NULL REFERENCES devices,
    kind      text NOT NULL,
    since     timestamptz NOT NULL,
    signature jsonb NOT NULL CHECK (jsonb_typeof(signature) = 'object')
);
-- A machine's like within its tenant, the latest first: what one look reads.
CREATE INDEX episodes_of_kind ON episodes (tenant, kind, since DESC);

-- What was said of a machine, by whom, each time as a whole; `devices.machine` is the latest.
CREATE TABLE machine_said (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL REFERENCES devices,
    tenant    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    who       text NOT NULL,
    facts     jsonb NOT NULL
);
CREATE INDEX machine_said_device ON machine_said (device_id, at DESC);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['episodes', 'machine_said'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_ingest, bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT ON episodes, machine_said TO bellwether_api, bellwether_reader;
GRANT INSERT ON machine_said TO bellwether_api;
GRANT SELECT, INSERT, UPDATE ON episodes TO bellwether_notify;
