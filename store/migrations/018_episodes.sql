-- Episodes: how a machine's points moved in each fault that a ticket is about, to find past ones that are like it.

-- Made with the ticket's diagnosis, and anew with each later one. `signature` is by role, see prognosis/episodes.py;
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

ALTER TABLE episodes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON episodes TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON episodes TO bellwether_ingest, bellwether_notify, bellwether_reader
    USING (true) WITH CHECK (true);

GRANT SELECT ON episodes TO bellwether_api, bellwether_reader;
GRANT SELECT, INSERT, UPDATE ON episodes TO bellwether_notify;
