-- What a tenant promises and to whom: its terms by version, the clocks and pauses of tickets by them, customers, and the
-- file of each device, by which a ticket's priority is found.

-- Append-only: a ticket's clocks go by the version that they began with.
CREATE TABLE terms (
    tenant     text NOT NULL REFERENCES tenants,
    version    integer NOT NULL CHECK (version > 0),   -- 0 are the house's, which are in tickets/terms.py
    terms      jsonb NOT NULL,
    reason     text NOT NULL CHECK (length(reason) > 0),
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (tenant, version)
);

CREATE TABLE customers (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant     text NOT NULL REFERENCES tenants,
    number     text NOT NULL CHECK (length(number) BETWEEN 1 AND 64),  -- in the tenant's own books
    name       text NOT NULL,
    contact    text NOT NULL DEFAULT '',               -- whom to call and how: all the personal data there is
    tier       text NOT NULL DEFAULT 'regular' CHECK (tier IN ('regular', 'vip')),
    notes      text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    UNIQUE (tenant, number),
    UNIQUE (tenant, id)
);

-- An owner of equipment sees their own customer and nobody else's.
ALTER TABLE users ADD COLUMN customer_id uuid;
ALTER TABLE users ADD FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id);

CREATE TABLE device_files (
    device_id           integer PRIMARY KEY REFERENCES devices,
    tenant              text NOT NULL,
    serial              text NOT NULL DEFAULT '',
    customer_id         uuid,
    purchased_on        date,
    warranty_until      date,
    criticality         text NOT NULL DEFAULT 'B' CHECK (criticality IN ('A', 'B', 'C')),
    is_safety_equipment boolean NOT NULL DEFAULT false,  -- medical or safety: never starts below urgent
    changed_at          timestamptz NOT NULL DEFAULT now(),
    changed_by          text NOT NULL,
    FOREIGN KEY (tenant, customer_id) REFERENCES customers (tenant, id)
);
CREATE UNIQUE INDEX device_files_serial ON device_files (tenant, serial) WHERE serial <> '';
CREATE INDEX device_files_customer ON device_files (customer_id);

ALTER TABLE tickets
    ADD COLUMN fault_class text NOT NULL DEFAULT 'degraded'
        CHECK (fault_class IN ('safety', 'line_down', 'function_lost', 'degraded', 'cosmetic')),
    ADD COLUMN nature text NOT NULL DEFAULT 'hardware' CHECK (nature IN ('hardware', 'software'));
UPDATE tickets SET fault_class = CASE priority WHEN 'urgent' THEN 'line_down' WHEN 'high' THEN 'function_lost'
                                               WHEN 'medium' THEN 'degraded' ELSE 'cosmetic' END;

ALTER TABLE ticket_clocks DROP CONSTRAINT ticket_clocks_clock_check;
ALTER TABLE ticket_clocks
    ADD CHECK (clock IN ('assignment', 'response', 'on_site', 'resolution')),
    ADD COLUMN level text NOT NULL DEFAULT 'general' CHECK (level IN ('emergency', 'major', 'general')),
    ADD COLUMN terms integer NOT NULL DEFAULT 0;        -- the version whose promise it is
UPDATE ticket_clocks c SET level = t.level FROM tickets t WHERE t.id = c.ticket_id;

-- What is looked at every second: clocks that have something to say, not all that run.
DROP INDEX ticket_clocks_running;
CREATE INDEX ticket_clocks_to_warn ON ticket_clocks (warn_at)
    WHERE warned_at IS NULL AND stopped_at IS NULL AND paused_at IS NULL;
CREATE INDEX ticket_clocks_to_breach ON ticket_clocks (due_at)
    WHERE breached_at IS NULL AND stopped_at IS NULL AND paused_at IS NULL;

CREATE TABLE ticket_pauses (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id  uuid NOT NULL REFERENCES tickets,
    tenant     text NOT NULL,
    reason     text NOT NULL,                          -- one of the terms' pause reasons
    label      text NOT NULL,                          -- what it was called then
    note       text NOT NULL,
    paused_at  timestamptz NOT NULL,
    paused_by  text NOT NULL,
    resumed_at timestamptz,
    resumed_by text
);
CREATE UNIQUE INDEX ticket_pauses_one_open ON ticket_pauses (ticket_id) WHERE resumed_at IS NULL;
CREATE INDEX ticket_pauses_ticket ON ticket_pauses (ticket_id, paused_at);

-- News of a clock says which, and whom it is to be told.
CREATE OR REPLACE FUNCTION tell_of_ticket() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    SELECT NEW.tenant, 'ticket.' || NEW.kind,
           jsonb_build_object('ticket_id', t.id, 'device', t.device, 'fault', t.fault, 'title', t.title,
                              'state', t.state, 'priority', t.priority, 'at', NEW.at)
           || CASE WHEN NEW.kind IN ('clock_warned', 'clock_breached')
                   THEN jsonb_build_object('clock', NEW.detail -> 'clock', 'due_at', NEW.detail -> 'due_at',
                                           'to', coalesce(NEW.detail -> 'to', '[]'), 'assignee', t.assignee)
                   ELSE '{}' END
    FROM tickets t WHERE t.id = NEW.ticket_id;
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['terms', 'customers', 'device_files', 'ticket_pauses'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_reader USING (true)', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT ON terms TO bellwether_api;
GRANT SELECT, INSERT, UPDATE ON customers, device_files, ticket_pauses TO bellwether_api;

-- Acts, and where people's data stand: see 026. A pause is told by its ticket's events.
SELECT audit_table('terms', 'terms', '{version}', '{terms}', '{reason}');
SELECT audit_table('customers', 'customer', '{number}', '{tier}', '{name,contact,notes}');
SELECT audit_table('device_files', 'device_file', '{device_id}',
                   '{serial,customer_id,purchased_on,warranty_until,criticality,is_safety_equipment}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('terms', 'changed_by', 'version', 'login', 'who changed what is promised', 'accountability', 'with the version'),
    ('terms', 'reason', 'version', 'text', 'mentions in reasons', 'accountability', 'with the version'),
    ('customers', 'name', 'number', 'text', 'mentions in a customer''s name', 'customers must be reached', 'with the customer'),
    ('customers', 'contact', 'number', 'text', 'mentions in a customer''s contact', 'customers must be reached', 'with the customer'),
    ('customers', 'notes', 'number', 'text', 'mentions in notes', 'customers must be reached', 'with the customer'),
    ('customers', 'changed_by', 'number', 'login', 'who changed a customer''s data', 'accountability', 'until it is changed'),
    ('device_files', 'changed_by', 'device_id', 'login', 'who changed a device''s file', 'accountability', 'until it is changed'),
    ('ticket_pauses', 'note', 'id', 'text', 'mentions in notes', 'the history of the equipment', 'with the ticket'),
    ('ticket_pauses', 'paused_by', 'id', 'login', 'who paused a ticket', 'the history of the equipment', 'with the ticket'),
    ('ticket_pauses', 'resumed_by', 'id', 'login', 'who took a ticket up again', 'the history of the equipment', 'with the ticket');
