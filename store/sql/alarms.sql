-- name: alarms
-- A page of alarms, newest first. `is_open` are those that somebody must still look at or that still stand.
SELECT id, device, point, rule, detector, fault, severity, state, active, since, raised_at, returned_at, acked_at,
       acked_by, shelved_until, shelved_by, shelve_reason, score, message, evidence,
       (SELECT ta.ticket_id FROM ticket_alarms ta WHERE ta.alarm_id = alarms.id ORDER BY ta.added_at DESC LIMIT 1)
           AS ticket_id
FROM alarms
WHERE (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
  AND (%(severities)s::text[] IS NULL OR severity = ANY(%(severities)s))
  AND (%(active)s::boolean IS NULL OR active = %(active)s)
  AND (%(is_open)s::boolean IS NULL OR (state <> 'normal') = %(is_open)s)
  AND (%(after_at)s::timestamptz IS NULL OR (raised_at, id) < (%(after_at)s, %(after_id)s))
ORDER BY raised_at DESC, id DESC
LIMIT %(limit)s

-- name: alarm
-- One alarm.
SELECT id, device, point, rule, detector, fault, severity, state, active, since, raised_at, returned_at, acked_at,
       acked_by, shelved_until, shelved_by, shelve_reason, score, message, evidence,
       (SELECT ta.ticket_id FROM ticket_alarms ta WHERE ta.alarm_id = alarms.id ORDER BY ta.added_at DESC LIMIT 1)
           AS ticket_id
FROM alarms
WHERE id = %(id)s

-- name: events
-- What happened to one alarm, in order.
SELECT event_id, at, kind, state, severity, score, who, note, evidence
FROM alarm_events
WHERE occurrence_id = %(id)s
ORDER BY recorded_at, at

-- name: lock
-- Hold an alarm while its next state is found: the process may be moving it too.
SELECT state, active, severity, tenant FROM alarms WHERE id = %(id)s FOR UPDATE

-- name: acknowledged
-- Somebody has seen it.
UPDATE alarms SET state = %(state)s, acked_at = %(at)s, acked_by = %(who)s WHERE id = %(id)s

-- name: shelved
-- It bothers nobody until then.
UPDATE alarms SET state = %(state)s, shelved_until = %(until)s, shelved_by = %(who)s, shelve_reason = %(reason)s
WHERE id = %(id)s

-- name: unshelved
-- It is back as what it has become meanwhile.
UPDATE alarms SET state = %(state)s, shelved_until = NULL, shelved_by = NULL, shelve_reason = NULL WHERE id = %(id)s

-- name: record
-- A change that a person, or time, has made.
INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity, who, note)
VALUES (gen_random_uuid(), %(id)s, %(tenant)s, %(at)s, %(kind)s, %(state)s, %(severity)s, %(who)s, %(note)s)

-- name: shelf_times_up
-- Alarms whose time on the shelf is over.
SELECT id FROM alarms WHERE state = 'shelved' AND shelved_until <= %(now)s
ORDER BY id
FOR UPDATE SKIP LOCKED
