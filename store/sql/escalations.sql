-- name: end_taken
-- What somebody has taken, or has passed, goes no further: for good, whatever comes next.
WITH taken AS (
    SELECT e.id, CASE WHEN a.state IS DISTINCT FROM NULL AND a.state <> %(alarm)s THEN 'alarm ' || a.state
                      ELSE 'ticket ' || t.state END AS because
    FROM escalations e
    LEFT JOIN alarms a ON a.id = e.alarm_id
    LEFT JOIN LATERAL (
        SELECT t.state FROM tickets t
        WHERE (t.id = e.ticket_id OR t.id IN (SELECT l.ticket_id FROM ticket_alarms l WHERE l.alarm_id = e.alarm_id))
          AND t.state <> ALL(%(ticket)s)
        LIMIT 1
    ) t ON true
    WHERE e.ended_at IS NULL AND (a.state <> %(alarm)s OR t.state IS NOT NULL)
)
UPDATE escalations e SET ended_at = now(), ended_because = taken.because FROM taken WHERE e.id = taken.id
RETURNING e.id

-- name: drop_waiting
-- What was held for somebody's quiet hours, of a thing that was taken meanwhile.
DELETE FROM messages WHERE escalation_id = ANY(%(ids)s) AND state = 'waiting' AND attempts = 0

-- name: due
-- Those whose turn it is, each in one hand. Of a flood the first out is told, and how many alarms were raised since it began.
SELECT e.id, e.tenant, a.id AS alarm_id, e.ticket_id, f.id AS flood_id, e.round, e.step, coalesce(f.site, '') AS site,
       coalesce(a.device, t.device) AS device, coalesce(e.level, a.severity, t.priority) AS level,
       coalesce(a.message, t.title) AS said, coalesce(a.fault, t.fault) AS fault,
       coalesce(f.since, a.raised_at, t.opened_at) AS began_at, coalesce(called.alarms, 0) AS alarms,
       EXISTS (SELECT FROM ticket_alarms l JOIN escalations o ON o.alarm_id = l.alarm_id
               WHERE l.ticket_id = e.ticket_id AND o.ended_at IS NULL) AS is_told_otherwise
FROM escalations e
LEFT JOIN alarm_floods f ON f.id = e.flood_id AND e.alarm_id IS NULL AND e.ticket_id IS NULL
LEFT JOIN alarms a ON a.id = coalesce(e.alarm_id, f.first_out)
LEFT JOIN tickets t ON t.id = e.ticket_id
LEFT JOIN LATERAL (SELECT count(DISTINCT v.occurrence_id) AS alarms
                   FROM alarm_events v JOIN alarms c ON c.id = v.occurrence_id JOIN devices d ON d.id = c.device_id
                   WHERE v.kind = 'raised' AND v.recorded_at >= f.since AND c.tenant = f.tenant AND d.site = f.site) called ON true
WHERE e.ended_at IS NULL AND e.next_at <= now()
ORDER BY e.next_at, e.id LIMIT %(limit)s
FOR UPDATE OF e SKIP LOCKED

-- name: move
-- Where it stands now, and when the next is told.
UPDATE escalations SET round = %(round)s, step = %(step)s, next_at = %(next_at)s WHERE id = %(id)s

-- name: end
-- It goes no further.
UPDATE escalations SET ended_at = now(), ended_because = %(because)s WHERE id = %(id)s

-- name: hurry
-- Nobody of the step that was told last can be reached: the next is told now.
UPDATE escalations e SET next_at = now()
WHERE e.id = %(id)s AND e.ended_at IS NULL
  AND NOT EXISTS (
    SELECT FROM messages m
    WHERE m.escalation_id = e.id AND m.state <> 'undeliverable'
      AND (m.round, m.step) = (SELECT l.round, l.step FROM messages l WHERE l.escalation_id = e.id
                               ORDER BY l.round DESC, l.step DESC LIMIT 1))

-- name: anybody
-- Whether anybody of a tenant's can be reached at all.
SELECT EXISTS (SELECT FROM person_channels c JOIN users u ON u.tenant = c.tenant AND u.login = c.login
               WHERE c.tenant = %(tenant)s AND c.enabled AND u.disabled_at IS NULL)

-- name: running
-- What is on its way along the chain, the newest first.
SELECT e.id, a.id AS alarm_id, e.ticket_id, f.id AS flood_id, coalesce(f.site, '') AS site,
       coalesce(a.device, t.device) AS device, coalesce(e.level, a.severity, t.priority) AS level,
       coalesce(a.message, t.title) AS said, e.begun_at, e.round, e.step, e.next_at
FROM escalations e
LEFT JOIN alarm_floods f ON f.id = e.flood_id AND e.alarm_id IS NULL AND e.ticket_id IS NULL
LEFT JOIN alarms a ON a.id = coalesce(e.alarm_id, f.first_out)
LEFT JOIN tickets t ON t.id = e.ticket_id
WHERE e.ended_at IS NULL
ORDER BY e.id DESC LIMIT %(limit)s
