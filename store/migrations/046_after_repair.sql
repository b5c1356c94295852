-- Checks after a repair: what a machine does then beside its healthy baseline, and what came of it.

CREATE TABLE repair_checks (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    ticket_id  uuid NOT NULL REFERENCES tickets,
    device_id  integer NOT NULL REFERENCES devices,
    tenant     text NOT NULL,
    turn       integer NOT NULL,                 -- of the ticket
    stage      text NOT NULL CHECK (stage IN ('test', 'service')),  -- the repair ended; the machine was handed over
    begins_at  timestamptz NOT NULL,
    look_at    timestamptz,                      -- next; NULL: it is settled
    looked_at  timestamptz,
    settled_at timestamptz,
    outcome    text NOT NULL DEFAULT 'cannot_say' CHECK (outcome IN ('well', 'not_well', 'cannot_say')),
    reason     text NOT NULL DEFAULT '',         -- why nothing can be said (yet), or what is off
    ran_h      double precision NOT NULL DEFAULT 0,  -- that could be compared
    found      jsonb NOT NULL DEFAULT '{}',      -- see store/repairs/rounds.py
    answer     text CHECK (answer IN ('noted', 'reopened', 'joined', 'over')),  -- what became of the ticket by it
    CHECK ((look_at IS NULL) = (settled_at IS NOT NULL))
);
CREATE UNIQUE INDEX repair_checks_one_runs ON repair_checks (ticket_id) WHERE look_at IS NOT NULL;
CREATE INDEX repair_checks_due ON repair_checks (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX repair_checks_ticket ON repair_checks (ticket_id, begins_at DESC);
CREATE INDEX repair_checks_device ON repair_checks (device_id);

-- Since when a machine is known to be ill though its alarms may have returned: a ticket of it is open whose last check
-- found it not well. What it does since then is nobody's normal.
CREATE FUNCTION not_well_since(of_device integer) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT min(t.since) FROM tickets t
    JOIN LATERAL (SELECT outcome FROM repair_checks WHERE ticket_id = t.id AND settled_at IS NOT NULL
                  ORDER BY begins_at DESC LIMIT 1) c ON c.outcome = 'not_well'
    WHERE t.device_id = of_device AND t.state NOT IN ('closed', 'cancelled')
$$;

CREATE FUNCTION repair_check_figures() RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT 'repair_checks', outcome, count(*)::float8 FROM repair_checks WHERE settled_at IS NOT NULL GROUP BY 2
    UNION ALL SELECT 'repair_checks_waiting', '', count(*) FROM repair_checks WHERE look_at IS NOT NULL
    UNION ALL SELECT 'repair_checks_late_seconds', '', coalesce(greatest(0, extract(epoch FROM now() - min(look_at))), 0)
              FROM repair_checks WHERE look_at IS NOT NULL
$$;
REVOKE ALL ON FUNCTION repair_check_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION repair_check_figures() TO bellwether_api;

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

ALTER TABLE repair_checks ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON repair_checks TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY own_of_owner ON repair_checks AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR EXISTS (SELECT FROM tickets t WHERE t.id = repair_checks.ticket_id));
CREATE POLICY every_tenant ON repair_checks TO bellwether_notify, bellwether_reader USING (true) WITH CHECK (true);

GRANT SELECT, INSERT ON repair_checks TO bellwether_api;
GRANT UPDATE (look_at, settled_at, outcome, reason, answer) ON repair_checks TO bellwether_api;
GRANT SELECT ON repair_checks TO bellwether_notify, bellwether_reader;
GRANT UPDATE (look_at, looked_at, settled_at, outcome, reason, ran_h, found) ON repair_checks TO bellwether_notify;

-- Acts: see 026. Nothing here is of a person.
SELECT audit_table('repair_checks', 'repair_check', '{id}', '{ticket_id,turn,stage,begins_at,settled_at,answer}');
