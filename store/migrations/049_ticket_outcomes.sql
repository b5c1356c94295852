-- What became of each ticket, one narrow row: what the KPIs of after-sales are counted from. See docs/kpis.md.
--
-- A ticket's row is made anew from its own story at the end of each transaction that adds to it: figures are true as of
-- the second in which they are asked for. Counted from `tickets`, `ticket_events` and `ticket_clocks` themselves, a year
-- of 50 000 tickets would have half a million wide rows to be read each time.

CREATE TABLE ticket_outcomes (
    ticket_id      uuid PRIMARY KEY REFERENCES tickets,
    tenant         text NOT NULL REFERENCES tenants,
    device_id      integer NOT NULL REFERENCES devices,
    engineer       text NOT NULL,                -- who had it when it was handed over first; before that, who has it
    opened_at      timestamptz NOT NULL,
    is_fault       boolean NOT NULL,             -- of an alarm or a person, not cancelled, and not found to be none
    ended_at       timestamptz,                  -- handed over the first time, or closed without a repair
    handed_over_at timestamptz,                  -- the first time
    returned_at    timestamptz,                  -- after that: reopened, or its machine has a new ticket of the same fault
    -- Each promise: kept or not; NULL: not known yet, or not promised.
    assignment     boolean,
    response       boolean,
    on_site        boolean,
    resolution     boolean,
    first_time     boolean,                      -- handed over without having been reopened before; NULL: not handed over
    passed         boolean,                      -- never sent back from the check of quality; NULL: never checked
    false_alarm    boolean,                      -- of an alarm's ticket, once it is closed with a verdict
    lead_s         real,                         -- from the first warning; NULL: no fault was found, or nothing repaired
    visits         smallint NOT NULL,
    work_s         real NOT NULL,                -- being diagnosed, visited, repaired and tested, at most 12 hours a stay
    parts_value    double precision NOT NULL,
    currency       text NOT NULL                 -- of the parts; empty: none were needed; '?': there are two
);
CREATE INDEX ticket_outcomes_opened ON ticket_outcomes (tenant, opened_at);
CREATE INDEX ticket_outcomes_ended ON ticket_outcomes (tenant, ended_at) WHERE ended_at IS NOT NULL;

CREATE FUNCTION count_outcomes(wanted uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO ticket_outcomes AS o
    SELECT t.id, t.tenant, t.device_id, coalesce(handed.engineer, t.assignee), t.opened_at,
           t.source <> 'plan' AND t.state <> 'cancelled' AND t.verdict IS DISTINCT FROM 'no_fault',
           coalesce(story.handed_over_at, CASE WHEN t.state = 'closed' THEN t.closed_at END), story.handed_over_at,
           least(handed.reopened_at,
                 (SELECT min(n.opened_at) FROM tickets n
                  WHERE n.device_id = t.device_id AND n.fault = t.fault AND n.opened_at > story.handed_over_at
                    AND n.id <> t.id)),
           promises.assignment, promises.response, promises.on_site, promises.resolution,
           story.handed_over_id < coalesce(story.reopened_id, 9223372036854775807), story.passed,
           CASE WHEN t.source = 'alarm' AND t.state = 'closed' THEN t.verdict = 'no_fault' END,
           CASE WHEN t.verdict IN ('confirmed', 'other_fault') AND story.repair_at IS NOT NULL
                THEN greatest(0, extract(epoch FROM least(alarms.worst_at, reported.at, story.repair_at) - alarms.first_at)) END,
           story.visits, coalesce(story.work_s, 0), parts.value, parts.currency
    FROM tickets t
    CROSS JOIN LATERAL (
        SELECT min(e.at) FILTER (WHERE e.to_state = 'handed_over') AS handed_over_at,
               min(e.id) FILTER (WHERE e.to_state = 'handed_over') AS handed_over_id,
               min(e.id) FILTER (WHERE e.to_state = 'reopened') AS reopened_id,
               min(e.at) FILTER (WHERE e.to_state = 'repairing') AS repair_at,
               bool_and(e.to_state <> 'reopened') FILTER (WHERE e.from_state = 'quality_check'
                                                          AND e.to_state IN ('handed_over', 'reopened')) AS passed,
               count(*) FILTER (WHERE e.to_state = 'on_site' AND e.from_state <> 'on_hold') AS visits,
               sum(least(43200, extract(epoch FROM e.until - e.at)))
                   FILTER (WHERE e.to_state IN ('diagnosing', 'on_site', 'repairing', 'testing')) AS work_s
        FROM (SELECT id, at, from_state, to_state, lead(at) OVER (ORDER BY id) AS until
              FROM ticket_events WHERE ticket_id = t.id AND to_state IS NOT NULL) e
    ) story
    CROSS JOIN LATERAL (
        SELECT (array_agg(e.detail ->> 'assignee' ORDER BY e.id DESC)
                FILTER (WHERE e.detail ? 'assignee' AND e.id <= story.handed_over_id))[1] AS engineer,
               min(e.at) FILTER (WHERE e.to_state = 'reopened' AND e.id > story.handed_over_id) AS reopened_at
        FROM ticket_events e WHERE e.ticket_id = t.id AND story.handed_over_id IS NOT NULL
    ) handed
    CROSS JOIN LATERAL (
        SELECT bool_and(kept) FILTER (WHERE clock = 'assignment') AS assignment,
               bool_and(kept) FILTER (WHERE clock = 'response') AS response,
               bool_and(kept) FILTER (WHERE clock = 'on_site') AS on_site,
               bool_and(kept) FILTER (WHERE clock = 'resolution') AS resolution
        FROM (SELECT clock, CASE WHEN bool_or(breached_at IS NOT NULL) THEN false
                                 WHEN bool_and(stopped_at IS NOT NULL) AND t.state <> 'cancelled' THEN true END AS kept
              FROM ticket_clocks WHERE ticket_id = t.id GROUP BY clock) c
    ) promises
    CROSS JOIN LATERAL (
        SELECT min(e.recorded_at) AS first_at, min(e.recorded_at) FILTER (WHERE e.severity = 'critical') AS worst_at
        FROM ticket_alarms ta JOIN alarm_events e ON e.occurrence_id = ta.alarm_id
        WHERE ta.ticket_id = t.id
    ) alarms
    CROSS JOIN LATERAL (SELECT min(r.at) AS at FROM ticket_reports r WHERE r.ticket_id = t.id) reported
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(CASE m.kind WHEN 'issue' THEN m.quantity ELSE -m.quantity END * p.value), 0)::float8 AS value,
               CASE count(DISTINCT p.currency) WHEN 0 THEN '' WHEN 1 THEN min(p.currency) ELSE '?' END AS currency
        FROM part_moves m JOIN parts p ON p.id = m.part_id
        WHERE m.ticket_id = t.id AND m.kind IN ('issue', 'unused')
    ) parts
    WHERE t.id = ANY(wanted)
    ORDER BY t.id
    ON CONFLICT (ticket_id) DO UPDATE
    SET engineer = excluded.engineer, is_fault = excluded.is_fault, ended_at = excluded.ended_at, handed_over_at = excluded.handed_over_at,
        returned_at = excluded.returned_at, assignment = excluded.assignment, response = excluded.response,
        on_site = excluded.on_site, resolution = excluded.resolution, first_time = excluded.first_time,
        passed = excluded.passed, false_alarm = excluded.false_alarm, lead_s = excluded.lead_s, visits = excluded.visits,
        work_s = excluded.work_s, parts_value = excluded.parts_value, currency = excluded.currency
$$;
REVOKE ALL ON FUNCTION count_outcomes(uuid[]) FROM PUBLIC;

-- At the end of the transaction, when clocks and papers are as they will be. A ticket that opens may be the return of
-- one that was handed over.
CREATE FUNCTION note_outcome() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM count_outcomes(ARRAY[NEW.ticket_id]);
    IF NEW.kind = 'opened' THEN
        PERFORM count_outcomes(array_agg(o.ticket_id))
        FROM tickets t
        JOIN tickets before ON before.device_id = t.device_id AND before.fault = t.fault AND before.id <> t.id
        JOIN ticket_outcomes o ON o.ticket_id = before.id
        WHERE t.id = NEW.ticket_id AND o.handed_over_at < t.opened_at AND o.returned_at IS NULL;
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION note_outcome() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER note_outcome AFTER INSERT ON ticket_events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.kind IN ('opened', 'moved', 'assigned', 'reopened', 'reported', 'clock_breached'))
    EXECUTE FUNCTION note_outcome();
CREATE CONSTRAINT TRIGGER note_outcome AFTER INSERT ON part_moves DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.ticket_id IS NOT NULL AND NEW.kind IN ('issue', 'unused'))
    EXECUTE FUNCTION note_outcome();

SELECT count_outcomes(array_agg(id)) FROM tickets;

-- What a tenant aims at, and what its services cost it. A tenant without a row has the house's aims and no rates.
CREATE TABLE service_goals (
    tenant     text PRIMARY KEY REFERENCES tenants,
    goals      jsonb NOT NULL,                   -- by KPI: see tickets/kpis.py
    hour_rate  double precision CHECK (hour_rate BETWEEN 0 AND 10000),     -- NULL: nobody has said, costs are not known
    visit_rate double precision CHECK (visit_rate BETWEEN 0 AND 10000),    -- there and back, the car with it
    overhead   double precision CHECK (overhead BETWEEN 0 AND 5),          -- a share of the three others
    currency   text NOT NULL DEFAULT 'EUR' CHECK (currency ~ '^[A-Z]{3}$'),
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);

ALTER TABLE ticket_outcomes ENABLE ROW LEVEL SECURITY;
ALTER TABLE service_goals ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON ticket_outcomes TO bellwether_api USING (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY tenant_of_api ON service_goals TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON ticket_outcomes TO bellwether_reader USING (true);
CREATE POLICY every_tenant ON service_goals TO bellwether_reader USING (true);
-- By machine, of which there are few, not by ticket. What services cost is nothing of a customer's.
CREATE POLICY own_of_owner ON ticket_outcomes AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR device_id IN (SELECT id FROM devices));
GRANT SELECT ON ticket_outcomes, service_goals TO bellwether_api, bellwether_reader;
GRANT INSERT, UPDATE ON service_goals TO bellwether_api;

SELECT audit_table('service_goals', 'service_goals', '{tenant}', '{goals,hour_rate,visit_rate,overhead,currency}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('ticket_outcomes', 'engineer', 'ticket_id', 'login', 'who repaired what became of a ticket',
     'the history of the equipment', 'with the ticket'),
    ('service_goals', 'changed_by', 'tenant', 'login', 'who changed what services aim at', 'accountability', 'until it is changed');
