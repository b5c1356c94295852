-- name: end_forgotten
-- An occurrence that the watch lost sight of (its memory was lost) ends where the next one begins.
UPDATE alarms SET active = false, returned_at = %(since)s,
                  state = CASE state WHEN 'acknowledged' THEN 'normal'
                                    WHEN 'unacknowledged' THEN 'returned_unacknowledged' ELSE state END
WHERE tenant = %(tenant)s AND device_id = %(device_id)s AND rule = %(rule)s AND active AND id <> %(id)s
  AND stream_id IS NOT DISTINCT FROM %(stream_id)s
  AND NOT EXISTS (SELECT FROM alarms known WHERE known.id = %(id)s)

-- name: raise_alarm
-- A new occurrence; one known already (scored again after a crash) is left as it is.
INSERT INTO alarms (id, tenant, device_id, device, stream_id, point, rule, detector, fault, severity, state, active,
                    since, raised_at, score, message, evidence, latch, quiet_with_parent, opens_ticket, provenance,
                    memory_id)
VALUES (%(id)s, %(tenant)s, %(device_id)s, %(device)s, %(stream_id)s, %(point)s, %(rule)s, %(detector)s, %(fault)s,
        %(severity)s, %(state)s, true, %(since)s, %(at)s, %(score)s, %(message)s, %(evidence)s, %(latch)s,
        %(quiet_with_parent)s, %(opens_ticket)s, %(provenance)s, %(memory_id)s)
ON CONFLICT DO NOTHING
RETURNING id

-- name: take_over_shelf
-- An alarm that was put on the shelf stays there until its time is over, whatever it does meanwhile.
UPDATE alarms SET state = before.state, shelved_until = before.shelved_until, shelved_by = before.shelved_by,
                  shelve_reason = before.shelve_reason
FROM (SELECT state, shelved_until, shelved_by, shelve_reason FROM alarms
      WHERE tenant = %(tenant)s AND device_id = %(device_id)s AND rule = %(rule)s AND state = 'shelved'
        AND stream_id IS NOT DISTINCT FROM %(stream_id)s AND id <> %(id)s
      ORDER BY shelved_until DESC LIMIT 1) before
WHERE alarms.id = %(id)s

-- name: follow
-- What was open of the same alarm, and does not stand any more, ends: the new occurrence asks for whatever it asked for.
WITH followed AS (
    UPDATE alarms SET state = 'normal', quiet_because = '', shelved_until = NULL, shelved_by = NULL, shelve_reason = NULL
    WHERE tenant = %(tenant)s AND device_id = %(device_id)s AND rule = %(rule)s AND state <> 'normal' AND NOT active
      AND stream_id IS NOT DISTINCT FROM %(stream_id)s AND id <> %(id)s
    RETURNING id, severity
)
INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity, note)
SELECT gen_random_uuid(), followed.id, %(tenant)s, %(at)s, 'followed', 'normal', followed.severity,
       'raised again: ' || %(id)s::text
FROM followed

-- name: occurrence_for_update
-- The occurrence an edge is about, held so that a person's action waits for ours.
SELECT state, active, latch FROM alarms WHERE id = %(id)s FOR UPDATE

-- name: worsen_alarm
-- The same occurrence at a higher severity.
UPDATE alarms SET severity = %(severity)s, state = %(state)s, score = greatest(score, %(score)s), rises = %(rises)s,
                  changed_at = now(), message = %(message)s, evidence = %(evidence)s
WHERE id = %(id)s

-- name: note_chatter
-- It chatters: it returns only when it has been calm for so long.
UPDATE alarms SET held_s = %(hold_s)s, chatters = chatters + 1 WHERE id = %(id)s

-- name: return_alarm
-- The condition is gone; what people have said of it stays.
UPDATE alarms SET active = false, state = %(state)s, returned_at = %(at)s, score = greatest(score, %(score)s),
                  rises = %(rises)s, held_s = NULL
WHERE id = %(id)s

-- name: note_edge
-- One row an edge; an edge known already is left as it is.
INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity, score, evidence)
VALUES (%(event_id)s, %(id)s, %(tenant)s, %(at)s, %(kind)s, %(state)s, %(severity)s, %(score)s, %(evidence)s)
ON CONFLICT DO NOTHING
RETURNING event_id

-- name: tell
-- What the world is told, in the same transaction.
INSERT INTO outbox (event_id, tenant, destination, payload) VALUES (%(event_id)s, %(tenant)s, %(destination)s, %(payload)s)
ON CONFLICT DO NOTHING

-- name: save_state
-- The memory of a detector, as of the same moment as the alarms of this transaction.
INSERT INTO detector_state (name, saved_at, state) VALUES (%s, now(), %s)
ON CONFLICT (name) DO UPDATE SET saved_at = excluded.saved_at, state = excluded.state

-- name: remembered
-- Whose memories there are.
SELECT name FROM detector_state

-- name: load_one_state
-- The memory of one detector.
SELECT state FROM detector_state WHERE name = %(name)s

-- name: load_states
-- All memories.
SELECT name, state FROM detector_state
