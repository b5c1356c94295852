-- What people were called for, one row a call: what the KPIs of alarms are counted from. See docs/alarm-kpis.md.
--
-- Counting a month from `alarm_events` takes as many looks into `alarms` as there were alarms, wide rows both. A roll-up
-- by ten minutes, machine and rule would have as many rows: of one alarm there is seldom more than one in ten minutes.

CREATE TABLE alarm_calls (
    event_id      uuid PRIMARY KEY,              -- the event that called
    occurrence_id uuid NOT NULL REFERENCES alarms,
    tenant        text NOT NULL REFERENCES tenants,
    device_id     integer NOT NULL REFERENCES devices,
    rule          text NOT NULL,
    point         text NOT NULL,
    severity      text NOT NULL,                 -- as it called
    called_at     timestamptz NOT NULL,          -- by our clock: when it was told, not when it departed
    answered_at   timestamptz,                   -- a person acknowledged or shelved it, or took its rule out of service
    answered_by   text,
    ended_at      timestamptz                    -- its condition has returned, or it was raised anew
);
CREATE INDEX alarm_calls_tenant ON alarm_calls (tenant, called_at);
CREATE INDEX alarm_calls_occurrence ON alarm_calls (occurrence_id);

-- An alarm calls when it is raised, when it comes back from where it was quiet, and when it gets worse after somebody has
-- answered. What is made quiet in the transaction that raised it has called nobody.
CREATE FUNCTION note_call() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.kind IN ('raised', 'escalated', 'unshelved', 'unsuppressed', 'returned_to_service') THEN
        INSERT INTO alarm_calls (event_id, occurrence_id, tenant, device_id, rule, point, severity, called_at)
        SELECT NEW.event_id, a.id, NEW.tenant, a.device_id, a.rule, a.point, NEW.severity, NEW.recorded_at
        FROM alarms a
        WHERE a.id = NEW.occurrence_id AND NEW.state = 'unacknowledged'
          AND (NEW.kind <> 'escalated'
               OR NOT EXISTS (SELECT FROM alarm_calls c
                              WHERE c.occurrence_id = a.id AND c.answered_at IS NULL AND c.ended_at IS NULL));
    ELSIF NEW.kind IN ('suppressed', 'taken_out_of_service') AND NEW.who = 'bellwether' THEN
        DELETE FROM alarm_calls WHERE occurrence_id = NEW.occurrence_id AND called_at = NEW.recorded_at;
    ELSIF NEW.kind IN ('acknowledged', 'shelved', 'taken_out_of_service') THEN
        UPDATE alarm_calls SET answered_at = NEW.recorded_at, answered_by = NEW.who
        WHERE occurrence_id = NEW.occurrence_id AND answered_at IS NULL;
    ELSIF NEW.kind IN ('returned', 'followed') THEN
        UPDATE alarm_calls SET ended_at = NEW.recorded_at WHERE occurrence_id = NEW.occurrence_id AND ended_at IS NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_call AFTER INSERT ON alarm_events FOR EACH ROW EXECUTE FUNCTION note_call();

-- What was before: by the same words, all at once.
INSERT INTO alarm_calls (event_id, occurrence_id, tenant, device_id, rule, point, severity, called_at, answered_at,
                         answered_by, ended_at)
SELECT e.event_id, a.id, a.tenant, a.device_id, a.rule, a.point, e.severity, e.recorded_at, answer.recorded_at, answer.who,
       over.recorded_at
FROM alarm_events e
JOIN alarms a ON a.id = e.occurrence_id
LEFT JOIN LATERAL (
    SELECT n.recorded_at, n.who FROM alarm_events n
    WHERE n.occurrence_id = e.occurrence_id AND n.recorded_at >= e.recorded_at
      AND (n.kind IN ('acknowledged', 'shelved') OR n.kind = 'taken_out_of_service' AND n.who <> 'bellwether')
    ORDER BY n.recorded_at LIMIT 1
) answer ON true
LEFT JOIN LATERAL (
    SELECT n.recorded_at FROM alarm_events n
    WHERE n.occurrence_id = e.occurrence_id AND n.recorded_at >= e.recorded_at AND n.kind IN ('returned', 'followed')
    ORDER BY n.recorded_at LIMIT 1
) over ON true
WHERE e.kind IN ('raised', 'unshelved', 'unsuppressed', 'returned_to_service') AND e.state = 'unacknowledged'
  AND NOT EXISTS (SELECT FROM alarm_events q
                  WHERE q.occurrence_id = e.occurrence_id AND q.recorded_at = e.recorded_at AND q.who = 'bellwether'
                    AND q.kind IN ('suppressed', 'taken_out_of_service'));

-- What chattered, and what became quiet or came back: few among many.
CREATE INDEX alarm_events_noise ON alarm_events (tenant, recorded_at)
    WHERE kind = 'chattering' OR state IN ('shelved', 'suppressed', 'out_of_service')
       OR kind IN ('unshelved', 'unsuppressed', 'returned_to_service', 'followed');

-- What was closed with nothing found; and tickets of one machine, which had to be picked out of everybody's.
CREATE INDEX tickets_no_fault ON tickets (tenant, closed_at) WHERE verdict = 'no_fault';
CREATE INDEX tickets_of_machine ON tickets (tenant, device, opened_at DESC, id DESC);

ALTER TABLE alarm_calls ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON alarm_calls TO bellwether_api USING (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON alarm_calls TO bellwether_reader USING (true);
-- An owner is shown none of it.
CREATE POLICY own_of_owner ON alarm_calls AS RESTRICTIVE TO bellwether_api
    USING (coalesce(current_setting('bellwether.customer', true), '') = '');
GRANT SELECT ON alarm_calls TO bellwether_api, bellwether_reader;

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('alarm_calls', 'answered_by', 'event_id', 'login', 'who answered an alarm', 'the history of the equipment', 'with the alarm');
