-- The whole road of a ticket: how it is worked on, what is written down on the way, and which repairs are drawn to be
-- looked at by the head office.

ALTER TABLE users DROP CONSTRAINT users_role_check,
    ADD CONSTRAINT users_role_check
    CHECK (role IN ('owner', 'engineer', 'expert', 'inspector', 'dispatcher', 'depot', 'manager', 'administrator'));
ALTER TABLE api_keys DROP CONSTRAINT api_keys_role_check,
    ADD CONSTRAINT api_keys_role_check
    CHECK (role IN ('owner', 'engineer', 'expert', 'inspector', 'dispatcher', 'depot', 'manager', 'administrator', 'service'));

ALTER TABLE tickets
    ADD COLUMN service text NOT NULL DEFAULT 'on_site' CHECK (service IN ('on_site', 'send_in', 'remote')),
    ADD COLUMN turn    integer NOT NULL DEFAULT 0;      -- how often it was reopened: a paper is of one turn

-- From each escalation until an expert has answered.
ALTER TABLE ticket_clocks DROP CONSTRAINT ticket_clocks_clock_check;
ALTER TABLE ticket_clocks ADD CONSTRAINT ticket_clocks_clock_check
    CHECK (clock IN ('assignment', 'response', 'on_site', 'resolution', 'expert'));

-- What is written down beside a move. Append-only: what is said anew takes the place of what was said, and both stay.
CREATE TABLE ticket_papers (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id uuid NOT NULL REFERENCES tickets,
    tenant    text NOT NULL,
    turn      integer NOT NULL,
    paper     text NOT NULL CHECK (paper IN ('diagnosis', 'quote', 'answer', 'appointment', 'test', 'check', 'inspection',
                                             'signature')),
    at        timestamptz NOT NULL,
    who       text NOT NULL,                     -- 'customer' for who answers by the ticket's code
    body      jsonb NOT NULL                     -- see api/ticket_papers.py
);
CREATE INDEX ticket_papers_ticket ON ticket_papers (ticket_id, id);

-- What decides which repairs the head office looks at: see tickets/quality.py. A month's is made in the month before.
CREATE TABLE quality_seeds (
    tenant     text NOT NULL REFERENCES tenants,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),
    seed       bytea NOT NULL CHECK (octet_length(seed) = 32),  -- told when the month is over
    commitment text NOT NULL,                    -- its SHA-256, told at once
    made_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, month)
);

-- Who holds a ticket's code acts for its customer: this says whose ticket it is, and nothing else.
CREATE FUNCTION holder_of_code(wanted text) RETURNS TABLE (tenant text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant, t.id FROM tickets t WHERE t.code = wanted
$$;
REVOKE ALL ON FUNCTION holder_of_code(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION holder_of_code(text) TO bellwether_api;

-- As in 001, with the quote, how it was answered, and who comes when.
DROP FUNCTION ticket_of_code(text);
CREATE FUNCTION ticket_of_code(wanted text)
RETURNS TABLE (code text, device text, title text, state text, priority text, opened_at timestamptz,
               updated_at timestamptz, closed_at timestamptz, steps jsonb, quote jsonb, answer jsonb, appointment jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.code, t.device, t.title, t.state, t.priority, t.opened_at, t.updated_at, t.closed_at,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('state', e.to_state, 'at', e.at) ORDER BY e.id), '[]')
            FROM ticket_events e WHERE e.ticket_id = t.id AND e.to_state IS NOT NULL),
           q.body,
           (SELECT jsonb_build_object('accepted', a.body -> 'accepted', 'at', a.at) FROM ticket_papers a
            WHERE a.ticket_id = t.id AND a.paper = 'answer' AND a.id > q.id ORDER BY a.id DESC LIMIT 1),
           (SELECT p.body FROM ticket_papers p
            WHERE p.ticket_id = t.id AND p.turn = t.turn AND p.paper = 'appointment' ORDER BY p.id DESC LIMIT 1)
    FROM tickets t
    LEFT JOIN LATERAL (SELECT id, body FROM ticket_papers
                       WHERE ticket_id = t.id AND turn = t.turn AND paper = 'quote' ORDER BY id DESC LIMIT 1) q ON true
    WHERE t.code = wanted
$$;
REVOKE ALL ON FUNCTION ticket_of_code(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ticket_of_code(text) TO bellwether_api;

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ticket_papers', 'quality_seeds'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_reader USING (true)', name);
    END LOOP;
    -- notify takes a ticket up again once its parts are there, as the tenant that it acts for then.
    FOREACH name IN ARRAY ARRAY['terms', 'ticket_pauses'] LOOP
        EXECUTE format('CREATE POLICY tenant_of_notify ON %I TO bellwether_notify
                        USING (tenant = current_setting(''bellwether.tenant'', true))', name);
    END LOOP;
END $$;

-- An owner sees the papers of the tickets that they see: see 031.
CREATE POLICY own_of_owner ON ticket_papers AS RESTRICTIVE TO bellwether_api
    USING (coalesce(current_setting('bellwether.customer', true), '') = ''
           OR EXISTS (SELECT FROM tickets t WHERE t.id = ticket_id));

GRANT SELECT, INSERT ON ticket_papers, quality_seeds TO bellwether_api;
GRANT SELECT ON ticket_papers TO bellwether_reader;
GRANT SELECT (tenant, month, commitment, made_at) ON quality_seeds TO bellwether_reader;
GRANT SELECT ON terms, ticket_pauses TO bellwether_notify;
GRANT UPDATE (resumed_at, resumed_by) ON ticket_pauses TO bellwether_notify;
GRANT UPDATE (updated_at) ON tickets TO bellwether_notify;
GRANT INSERT ON ticket_clocks TO bellwether_notify;

-- Acts, and where people's data stand: see 026. What stands on a paper may have to be taken away: only that it changed
-- is said. Of a seed no more than what everybody may know.
SELECT audit_table('ticket_papers', 'ticket_paper', '{id}', '{ticket_id,turn,paper}', '{who,body}');
SELECT audit_table('quality_seeds', 'quality_seed', '{month}', '{commitment}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('ticket_papers', 'who', 'id', 'login', 'who wrote what belongs to a repair', 'the history of the equipment', 'with the ticket'),
    ('ticket_papers', 'body', 'id', 'json', 'mentions, and who signed', 'the history of the equipment', 'with the ticket');
