-- name: sets_out
-- Whether an alarm is about to be told that may belong to a flood that nobody has noticed yet.
SELECT EXISTS (SELECT FROM escalations
               WHERE ended_at IS NULL AND next_at <= now() AND alarm_id IS NOT NULL AND flood_id IS NULL
                 AND round = 0 AND step = 0)

-- name: open
-- Floods that go on.
SELECT id, tenant FROM alarm_floods WHERE ended_at IS NULL ORDER BY id

-- name: members
-- What set out since a flood began and belongs to it, each in one hand: alarms of its site, tickets of such alarms.
SELECT e.id, coalesce(a.severity, t.priority) AS level, weight_of(coalesce(a.severity, t.priority)) AS weight
FROM alarm_floods f
JOIN escalations e ON e.tenant = f.tenant AND e.ended_at IS NULL AND e.flood_id IS NULL AND e.begun_at >= f.since
LEFT JOIN alarms a ON a.id = e.alarm_id
LEFT JOIN tickets t ON t.id = e.ticket_id
JOIN devices d ON d.id = coalesce(a.device_id, t.device_id) AND d.site = f.site
WHERE f.id = %(flood)s
  AND (e.alarm_id IS NOT NULL
       OR EXISTS (SELECT FROM ticket_alarms l JOIN escalations o ON o.alarm_id = l.alarm_id
                  WHERE l.ticket_id = e.ticket_id AND o.begun_at >= f.since))
ORDER BY e.id
FOR UPDATE OF e SKIP LOCKED

-- name: begin
-- A flood sets out along the chain, once.
INSERT INTO escalations (tenant, flood_id, level) VALUES (%(tenant)s, %(flood)s, %(level)s)
ON CONFLICT (flood_id) WHERE alarm_id IS NULL AND ticket_id IS NULL DO NOTHING

-- name: told
-- How bad the worst is that was told of a flood, held until the transaction ends.
SELECT weight_of(level) FROM escalations WHERE flood_id = %(flood)s AND alarm_id IS NULL AND ticket_id IS NULL FOR UPDATE

-- name: worsen
-- Worse is told of it from now on.
UPDATE escalations SET level = %(level)s WHERE flood_id = %(flood)s AND alarm_id IS NULL AND ticket_id IS NULL

-- name: follow
-- It belongs to the flood, and goes its own way.
UPDATE escalations SET flood_id = %(flood)s WHERE id = %(id)s

-- name: fold
-- They are told with the flood, and go no further.
UPDATE escalations SET flood_id = %(flood)s, ended_at = now(), ended_because = 'told with its flood' WHERE id = ANY(%(ids)s)

-- name: end_taken
-- A flood is taken by whoever acknowledges one of its alarms or accepts one of its tickets, and over when none of its alarms
-- waits for that any more.
UPDATE escalations o
SET ended_at = now(),
    ended_because = CASE WHEN taken.by_somebody THEN 'one of its alarms was taken' ELSE 'its alarms are over' END
FROM (
    SELECT f.id,
           EXISTS (SELECT FROM escalations m JOIN alarm_events v ON v.occurrence_id = m.alarm_id
                   WHERE m.flood_id = f.flood_id AND v.kind = 'acknowledged' AND v.recorded_at >= m.begun_at)
           OR EXISTS (SELECT FROM escalations m JOIN ticket_alarms l ON l.alarm_id = m.alarm_id
                      JOIN tickets t ON t.id = l.ticket_id
                      WHERE m.flood_id = f.flood_id AND t.opened_at >= m.begun_at AND t.state <> ALL(%(ticket)s)) AS by_somebody,
           EXISTS (SELECT FROM escalations m JOIN alarms a ON a.id = m.alarm_id
                   WHERE m.flood_id = f.flood_id AND a.state = %(alarm)s) AS waits
    FROM escalations f
    WHERE f.ended_at IS NULL AND f.flood_id IS NOT NULL AND f.alarm_id IS NULL AND f.ticket_id IS NULL
) taken
WHERE o.id = taken.id AND (taken.by_somebody OR NOT taken.waits)
RETURNING o.id
