-- What parts will be needed: how often each was, what wear announces, and what to order and to send for it. Made anew by
-- `notify` once a day, all parts of a tenant at once; the pages and the API only read it.

ALTER TABLE parts
    ADD COLUMN lead_days integer NOT NULL DEFAULT 14 CHECK (lead_days BETWEEN 1 AND 730),  -- from order to receipt
    ADD COLUMN cures     text[] NOT NULL DEFAULT '{}';  -- failure modes whose repair takes one: ids of prognosis/faults.toml

DROP TRIGGER audited ON parts;
DROP TRIGGER audited_changes ON parts;
SELECT audit_table('parts', 'part', '{number}',
                   '{name,unit,value,currency,fits,shelf_days,serialised,low_at,lead_days,cures}');

CREATE TABLE part_plans (
    part_id    integer PRIMARY KEY REFERENCES parts,
    tenant     text NOT NULL,
    made_at    timestamptz NOT NULL,
    class      text NOT NULL CHECK (class IN ('A', 'B', 'C')),
    method     text NOT NULL,                    -- which forecast: see tickets/parts/demand.py
    weekly     double precision NOT NULL,        -- how many a week are expected
    predicted  double precision NOT NULL,        -- how many beside that within 30 days, since machines wear
    position   bigint NOT NULL,                  -- free or on its way, less what is waited for; below zero: owed
    reorder_at bigint NOT NULL,
    up_to      bigint NOT NULL,
    proposals  jsonb NOT NULL                    -- [{"kind": "order" | "transfer", "quantity", "source", "target", "reason"}]
);
CREATE INDEX part_plans_tenant ON part_plans (tenant, made_at);

ALTER TABLE part_plans ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON part_plans TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true)) WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON part_plans TO bellwether_notify, bellwether_reader USING (true) WITH CHECK (true);

GRANT SELECT ON part_plans TO bellwether_api, bellwether_reader;
GRANT SELECT, INSERT, UPDATE ON part_plans TO bellwether_notify;
GRANT UPDATE (lead_days, cures) ON parts TO bellwether_api;
