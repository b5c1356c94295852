-- Work orders as steps: a tenant's own procedures by version, the steps that a ticket was given, and how each was ticked off.

-- Beside those of the fault library, for a model of machine and a fault, or for any. Append-only: the latest version holds;
-- one without steps says that there is none of one's own any more.
CREATE TABLE procedures (
    tenant     text NOT NULL REFERENCES tenants,
    kind       text NOT NULL CHECK (kind IN ('remote', 'repair')),
    fault      text NOT NULL,                    -- a failure mode of the library, or a symptom; '': any
    model      text NOT NULL,                    -- of machine; '': any
    version    integer NOT NULL CHECK (version > 0),
    name       text NOT NULL,
    skills     text[] NOT NULL DEFAULT '{}',
    steps      jsonb NOT NULL,                   -- see prognosis/procedures.py
    reason     text NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (tenant, kind, fault, model, version)
);

-- What a ticket was given when its work began: a copy, so that a later version changes nothing that was done. The latest of
-- a turn and kind holds.
CREATE TABLE ticket_procedures (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id uuid NOT NULL REFERENCES tickets,
    tenant    text NOT NULL,
    turn      integer NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('remote', 'repair')),
    procedure text NOT NULL,
    version   text NOT NULL,                     -- its own number, or what its text comes to
    source    text NOT NULL CHECK (source IN ('library', 'own', 'plan')),
    name      text NOT NULL,
    steps     jsonb NOT NULL,
    at        timestamptz NOT NULL,
    who       text NOT NULL,
    UNIQUE (id, ticket_id)
);
CREATE INDEX ticket_procedures_ticket ON ticket_procedures (ticket_id, id);

-- Append-only: what is ticked off anew, or taken back ('open'), takes the place of what was said, and both stay.
CREATE TABLE ticket_step_marks (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id    uuid NOT NULL REFERENCES tickets,
    tenant       text NOT NULL,
    procedure_id bigint NOT NULL,
    step         integer NOT NULL CHECK (step > 0),
    state        text NOT NULL CHECK (state IN ('done', 'left_out', 'open')),
    value        double precision,               -- measured, in the step's unit
    new_serial   text NOT NULL DEFAULT '',       -- of the key part that went in
    old_serial   text NOT NULL DEFAULT '',       -- and of the one that came out
    note         text NOT NULL DEFAULT '',
    at           timestamptz NOT NULL,
    who          text NOT NULL,
    FOREIGN KEY (procedure_id, ticket_id) REFERENCES ticket_procedures (id, ticket_id)
);
CREATE INDEX ticket_step_marks_latest ON ticket_step_marks (procedure_id, step, id DESC);
CREATE INDEX ticket_step_marks_ticket ON ticket_step_marks (ticket_id);

-- What is taken back is an event of the ticket, and told as such.
CREATE FUNCTION tell_of_step() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    SELECT NEW.tenant, 'ticket.step', jsonb_build_object('ticket_id', t.id, 'device', t.device, 'at', NEW.at)
    FROM tickets t WHERE t.id = NEW.ticket_id;
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_step AFTER INSERT ON ticket_step_marks FOR EACH ROW WHEN (NEW.state <> 'open')
    EXECUTE FUNCTION tell_of_step();
REVOKE ALL ON FUNCTION tell_of_step() FROM PUBLIC;

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['procedures', 'ticket_procedures', 'ticket_step_marks'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_reader USING (true)', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['ticket_procedures', 'ticket_step_marks'] LOOP
        EXECUTE format('CREATE POLICY own_of_owner ON %1$I AS RESTRICTIVE TO bellwether_api
                        USING (NOT is_narrowed() OR EXISTS (SELECT FROM tickets t WHERE t.id = %1$I.ticket_id))', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT ON procedures, ticket_procedures, ticket_step_marks TO bellwether_api;
GRANT SELECT ON procedures, ticket_procedures, ticket_step_marks TO bellwether_reader;

-- Acts, and where people's data stand: see 026.
SELECT audit_table('procedures', 'procedure', '{kind,fault,model,version}', '{skills}', '{name,steps,reason}');
SELECT audit_table('ticket_procedures', 'ticket_procedure', '{id}', '{ticket_id,turn,kind,procedure,version,source}');
SELECT audit_table('ticket_step_marks', 'ticket_step', '{procedure_id,step}', '{ticket_id,state,value,new_serial,old_serial}',
                   '{note}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('procedures', 'name', 'version', 'text', 'mentions in a procedure''s name', 'the work must be known', 'with the version'),
    ('procedures', 'steps', 'version', 'json', 'mentions in steps', 'the work must be known', 'with the version'),
    ('procedures', 'reason', 'version', 'text', 'mentions in reasons', 'accountability', 'with the version'),
    ('procedures', 'changed_by', 'version', 'login', 'who wrote a version of a procedure', 'accountability', 'with the version'),
    ('ticket_procedures', 'who', 'id', 'login', 'who began a work order', 'the history of the equipment', 'with the ticket'),
    ('ticket_procedures', 'name', 'id', 'text', 'mentions in a procedure''s name', 'the history of the equipment', 'with the ticket'),
    ('ticket_procedures', 'steps', 'id', 'json', 'mentions in steps', 'the history of the equipment', 'with the ticket'),
    ('ticket_step_marks', 'who', 'id', 'login', 'who ticked off a step', 'the history of the equipment', 'with the ticket'),
    ('ticket_step_marks', 'note', 'id', 'text', 'mentions in notes', 'the history of the equipment', 'with the ticket');
