-- name: alarms
-- A page of alarms, newest first. `is_open` are those that somebody must still look at or that still stand.
SELECT id, device, point, rule, detector, fault, severity, state, active, since, raised_at, returned_at, acked_at,
       acked_by, shelved_until, shelved_by, shelve_reason, score, message, evidence,
       (SELECT ta.ticket_id FROM ticket_alarms ta WHERE ta.alarm_id = alarms.id ORDER BY ta.added_at DESC LIMIT 1)
           AS ticket_id, latch, quiet_because, rises, chatters, held_s,
       (SELECT e.flood_id FROM escalations e
        WHERE e.alarm_id = alarms.id AND e.flood_id IS NOT NULL AND e.ended_because = 'told with its flood'
        ORDER BY e.id DESC LIMIT 1) AS flood_id,
       (active AND state NOT IN ('normal', 'shelved', 'suppressed', 'out_of_service')
        AND changed_at <= now() - make_interval(hours => %(stale_h)s)) AS stale
FROM alarms
WHERE (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
  AND (%(severities)s::text[] IS NULL OR severity = ANY(%(severities)s))
  AND (%(active)s::boolean IS NULL OR active = %(active)s)
  AND (%(stale)s::boolean IS NULL
       OR (active AND state NOT IN ('normal', 'shelved', 'suppressed', 'out_of_service')
           AND changed_at <= now() - make_interval(hours => %(stale_h)s)) = %(stale)s)
  AND (%(is_open)s::boolean IS NULL OR (state <> 'normal') = %(is_open)s)
  AND (%(after_at)s::timestamptz IS NULL OR (raised_at, id) < (%(after_at)s, %(after_id)s))
ORDER BY raised_at DESC, id DESC
LIMIT %(limit)s

-- name: alarm
-- One alarm.
SELECT id, device, point, rule, detector, fault, severity, state, active, since, raised_at, returned_at, acked_at,
       acked_by, shelved_until, shelved_by, shelve_reason, score, message, evidence,
       (SELECT ta.ticket_id FROM ticket_alarms ta WHERE ta.alarm_id = alarms.id ORDER BY ta.added_at DESC LIMIT 1)
           AS ticket_id, latch, quiet_because, rises, chatters, held_s,
       (SELECT e.flood_id FROM escalations e
        WHERE e.alarm_id = alarms.id AND e.flood_id IS NOT NULL AND e.ended_because = 'told with its flood'
        ORDER BY e.id DESC LIMIT 1) AS flood_id,
       (active AND state NOT IN ('normal', 'shelved', 'suppressed', 'out_of_service')
        AND changed_at <= now() - make_interval(hours => %(stale_h)s)) AS stale
FROM alarms
WHERE id = %(id)s

-- name: events
-- What happened to one alarm, in order.
SELECT event_id, at, kind, state, severity, score, who, note, evidence
FROM alarm_events
WHERE occurrence_id = %(id)s
ORDER BY recorded_at, at

-- name: acknowledged
-- Who has seen it.
UPDATE alarms SET acked_at = %(at)s, acked_by = %(who)s WHERE id = %(id)s

-- name: shelved
-- It bothers nobody until then.
UPDATE alarms SET shelved_until = %(until)s, shelved_by = %(who)s, shelve_reason = %(reason)s WHERE id = %(id)s
