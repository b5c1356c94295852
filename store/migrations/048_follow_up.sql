-- After the repair: what customers say of it, the second handling of who was not satisfied, what is done about problems
-- that come again, and the month as a manager signed it. Rules are in tickets/surveys.py and tickets/improvement.py.

-- One for each time that a ticket reaches follow_up. What was asked is what the terms of that version ask.
CREATE TABLE surveys (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant      text NOT NULL REFERENCES tenants,
    ticket_id   uuid NOT NULL REFERENCES tickets,
    turn        integer NOT NULL,
    terms       integer NOT NULL,
    made_at     timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,            -- asked, or called, by then
    expires_at  timestamptz NOT NULL,
    link_hash   bytea NOT NULL UNIQUE CHECK (octet_length(link_hash) = 32),  -- SHA-256: the link itself is nowhere
    sent_at     timestamptz,                     -- given to the customer's channel; NULL: there was none
    to_call     text NOT NULL DEFAULT '' CHECK (to_call IN ('', 'vip', 'no_address')),
    calls       integer NOT NULL DEFAULT 0,
    called_at   timestamptz,                     -- last, reached or not
    called_by   text,
    reached_at  timestamptz,                     -- first heard of, by whatever way
    answered_at timestamptz,
    how         text CHECK (how IN ('link', 'phone')),
    csat        real CHECK (csat BETWEEN 0 AND 100),
    nps         smallint CHECK (nps BETWEEN 0 AND 10),
    answers     jsonb,                           -- numbers by question
    comment     text NOT NULL DEFAULT '',
    UNIQUE (ticket_id, turn),
    CHECK (num_nulls(answered_at, how, answers) IN (0, 3)),
    CHECK (answered_at IS NULL OR reached_at IS NOT NULL)
);
CREATE INDEX surveys_tenant ON surveys (tenant, made_at DESC, id DESC);
CREATE INDEX surveys_to_call ON surveys (tenant, due_at) WHERE to_call <> '' AND reached_at IS NULL;

-- Its two clocks are among the ticket's, where they warn and break as all do.
CREATE TABLE second_handlings (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant       text NOT NULL REFERENCES tenants,
    ticket_id    uuid NOT NULL REFERENCES tickets,
    survey_id    uuid NOT NULL UNIQUE REFERENCES surveys,  -- once, whoever comes second
    opened_at    timestamptz NOT NULL,
    start_due_at timestamptz NOT NULL,
    started_at   timestamptz,
    started_by   text,
    call_due_at  timestamptz NOT NULL,
    called_at    timestamptz,                    -- the customer was reached
    called_by    text,
    cause        text NOT NULL DEFAULT '',
    outcome      text NOT NULL DEFAULT '',
    closed_at    timestamptz,
    closed_by    text,
    CHECK (closed_at IS NULL OR (started_at IS NOT NULL AND called_at IS NOT NULL AND cause <> '' AND outcome <> ''))
);
CREATE INDEX second_handlings_tenant ON second_handlings (tenant, opened_at DESC, id DESC);
CREATE INDEX second_handlings_ticket ON second_handlings (ticket_id);

CREATE TABLE corrective_actions (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant     text NOT NULL REFERENCES tenants,
    kind       text NOT NULL CHECK (kind IN ('fault', 'inspection', 'satisfaction', 'person')),  -- where it was seen
    model      text NOT NULL DEFAULT '',
    fault      text NOT NULL DEFAULT '',
    problem    text NOT NULL,
    cases      integer NOT NULL DEFAULT 0 CHECK (cases >= 0),  -- within the terms' days before it was written down
    root_cause text NOT NULL DEFAULT '',
    action     text NOT NULL DEFAULT '',
    owner      text NOT NULL DEFAULT '',         -- a login
    due_at     timestamptz,
    state      text NOT NULL CHECK (state IN ('proposed', 'open', 'done', 'effective', 'not_effective', 'dismissed')),
    note       text NOT NULL DEFAULT '',         -- why it was dismissed; what was done; what shows that it helped
    effect     jsonb,                            -- cases before and after, when it was judged
    made_at    timestamptz NOT NULL,
    made_by    text NOT NULL,
    done_at    timestamptz,
    closed_at  timestamptz,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    CHECK (state IN ('proposed', 'dismissed') OR (root_cause <> '' AND action <> '' AND owner <> '' AND due_at IS NOT NULL)),
    CHECK ((state IN ('effective', 'not_effective', 'dismissed')) = (closed_at IS NOT NULL)),
    CHECK ((state IN ('effective', 'not_effective')) = (effect IS NOT NULL))
);
CREATE INDEX corrective_actions_tenant ON corrective_actions (tenant, made_at DESC, id DESC);
-- A problem that somebody is at is not written down again by a program.
CREATE UNIQUE INDEX corrective_actions_one_open ON corrective_actions (tenant, kind, model, fault)
    WHERE kind <> 'person' AND state IN ('proposed', 'open', 'done');

-- A month as it was looked through: its figures as they stood then.
CREATE TABLE monthly_reviews (
    tenant    text NOT NULL REFERENCES tenants,
    month     date NOT NULL CHECK (extract(day FROM month) = 1),
    notes     text NOT NULL,
    figures   jsonb NOT NULL,
    signed_at timestamptz NOT NULL,
    signed_by text NOT NULL,
    PRIMARY KEY (tenant, month)
);

-- Which clocks there are is told by `tickets.clocks.ClockName`.
ALTER TABLE ticket_clocks DROP CONSTRAINT ticket_clocks_clock_check;
ALTER TABLE ticket_clocks ADD CONSTRAINT ticket_clocks_clock_check CHECK (clock ~ '^[a-z_]{1,40}$');

-- What a ticket turned out to be, on which kind of machine: by its diagnosis where that is likely enough, else by its
-- alarm, or the symptom that was reported. What was no fault is none; what has no name is not counted among its like.
CREATE VIEW ticket_faults WITH (security_invoker = true) AS
    SELECT t.id AS ticket_id, t.tenant, t.opened_at, coalesce(nullif(d.model, ''), d.kind) AS model,
           CASE WHEN t.verdict = 'sensor_fault' THEN 'sensor'
                WHEN t.verdict IS DISTINCT FROM 'other_fault' AND (g.suspects -> 0 ->> 'probability')::float8 >= 0.5
                THEN g.suspects -> 0 ->> 'name'
                ELSE coalesce(r.symptom, t.fault) END AS fault
    FROM tickets t JOIN devices d ON d.id = t.device_id LEFT JOIN diagnoses g ON g.ticket_id = t.id
    LEFT JOIN LATERAL (SELECT symptom FROM ticket_reports
                       WHERE ticket_id = t.id AND symptom <> '' AND t.source = 'person' ORDER BY at LIMIT 1) r ON true
    WHERE t.verdict IS DISTINCT FROM 'no_fault' AND t.state <> 'cancelled' AND t.source <> 'plan'
      AND (t.source = 'alarm' OR r.symptom IS NOT NULL);

-- What may come again: a fault on a model, a repair of it that failed its inspection, a customer who was not satisfied.
CREATE VIEW problem_cases WITH (security_invoker = true) AS
    SELECT 'fault' AS kind, tenant, model, fault, opened_at AS at FROM ticket_faults
    UNION ALL
    SELECT seen.kind, seen.tenant, coalesce(nullif(d.model, ''), d.kind), '', seen.at
    FROM (SELECT 'inspection' AS kind, tenant, ticket_id, at FROM ticket_papers
          WHERE paper = 'inspection' AND body ->> 'passed' = 'false'
          UNION ALL
          SELECT 'satisfaction', tenant, ticket_id, opened_at FROM second_handlings) seen
    JOIN tickets t ON t.id = seen.ticket_id JOIN devices d ON d.id = t.device_id;

-- Who holds a survey's link answers for its customer: this says whose survey it is, and nothing else.
CREATE FUNCTION survey_of_link(wanted bytea) RETURNS TABLE (tenant text, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant, s.id FROM surveys s WHERE s.link_hash = wanted
$$;
REVOKE ALL ON FUNCTION survey_of_link(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION survey_of_link(bytea) TO bellwether_api;

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['surveys', 'second_handlings', 'corrective_actions', 'monthly_reviews'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['surveys', 'second_handlings'] LOOP
        EXECUTE format('CREATE POLICY own_of_owner ON %1$I AS RESTRICTIVE TO bellwether_api
                        USING (NOT is_narrowed() OR EXISTS (SELECT FROM tickets t WHERE t.id = %1$I.ticket_id))', name);
    END LOOP;
    -- What a tenant makes of its problems is its own.
    FOREACH name IN ARRAY ARRAY['corrective_actions', 'monthly_reviews'] LOOP
        EXECUTE format('CREATE POLICY own_of_owner ON %I AS RESTRICTIVE TO bellwether_api USING (NOT is_narrowed())', name);
    END LOOP;
END $$;
CREATE POLICY every_tenant_of_papers ON ticket_papers TO bellwether_notify USING (true);
CREATE POLICY every_tenant_of_reports ON ticket_reports TO bellwether_notify USING (true);

GRANT SELECT, INSERT, UPDATE ON surveys, second_handlings, corrective_actions TO bellwether_api;
GRANT SELECT, INSERT ON monthly_reviews TO bellwether_api;
GRANT SELECT ON ticket_faults, problem_cases TO bellwether_api, bellwether_notify, bellwether_reader;
GRANT SELECT ON surveys, second_handlings, corrective_actions, monthly_reviews TO bellwether_reader;
-- Problems that come again are found there.
GRANT SELECT ON second_handlings, ticket_papers TO bellwether_notify;
GRANT SELECT (ticket_id, at, symptom) ON ticket_reports TO bellwether_notify;
GRANT SELECT, INSERT ON corrective_actions TO bellwether_notify;

-- Acts, and where people's data stand: see 026.
SELECT audit_table('surveys', 'survey', '{id}', '{ticket_id,sent_at,to_call,calls,reached_at,answered_at,how,csat,nps}',
                   '{link_hash,comment,called_by}');
SELECT audit_table('second_handlings', 'second_handling', '{id}', '{ticket_id,survey_id,started_at,called_at,closed_at}',
                   '{cause,outcome}');
SELECT audit_table('corrective_actions', 'corrective_action', '{id}', '{kind,model,fault,cases,state,due_at,effect}',
                   '{problem,root_cause,action,owner,note}');
SELECT audit_table('monthly_reviews', 'monthly_review', '{month}', '{figures}', '{notes}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('surveys', 'comment', 'id', 'text', 'mentions in what a customer said', 'service is to become better', 'with the ticket'),
    ('surveys', 'called_by', 'id', 'login', 'who called a customer', 'customers must be reached', 'with the ticket'),
    ('second_handlings', 'started_by', 'id', 'login', 'who took up a complaint', 'the history of the equipment', 'with the ticket'),
    ('second_handlings', 'called_by', 'id', 'login', 'who called a customer back', 'the history of the equipment', 'with the ticket'),
    ('second_handlings', 'closed_by', 'id', 'login', 'who closed a complaint', 'the history of the equipment', 'with the ticket'),
    ('second_handlings', 'cause', 'id', 'text', 'mentions in the cause', 'the history of the equipment', 'with the ticket'),
    ('second_handlings', 'outcome', 'id', 'text', 'mentions in the outcome', 'the history of the equipment', 'with the ticket'),
    ('corrective_actions', 'problem', 'id', 'text', 'mentions in a problem', 'service is to become better', 'with the action'),
    ('corrective_actions', 'root_cause', 'id', 'text', 'mentions in a root cause', 'service is to become better', 'with the action'),
    ('corrective_actions', 'action', 'id', 'text', 'mentions in an action', 'service is to become better', 'with the action'),
    ('corrective_actions', 'note', 'id', 'text', 'mentions in notes', 'service is to become better', 'with the action'),
    ('corrective_actions', 'owner', 'id', 'login', 'who sees to an action', 'the work must be given to somebody', 'with the action'),
    ('corrective_actions', 'made_by', 'id', 'login', 'who wrote a problem down', 'accountability', 'with the action'),
    ('corrective_actions', 'changed_by', 'id', 'login', 'who changed an action', 'accountability', 'until it is changed'),
    ('monthly_reviews', 'notes', 'month', 'text', 'mentions in notes', 'accountability', 'with the review'),
    ('monthly_reviews', 'signed_by', 'month', 'login', 'who signed a month', 'accountability', 'with the review');
