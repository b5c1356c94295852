-- name: end_forgotten
-- An occurrence that the watch lost sight of (its memory was lost) ends where the next one begins.
UPDATE alarms SET active = false, returned_at = %(since)s,
                  state = CASE state WHEN 'acknowledged' THEN 'normal' WHEN 'unacknowledged' THEN 'returned_unacknowledged' ELSE state END
WHERE tenant = %(tenant)s AND device_id = %(device_id)s AND rule = %(rule)s AND active AND id <> %(id)s
  AND stream_id IS NOT DISTINCT FROM %(stream_id)s
  AND NOT EXISTS (SELECT FROM alarms known WHERE known.id = %(id)s)

-- name: raise_alarm
-- A new occurrence; one known already (scored again after a crash) is left as it is.
INSERT INTO alarms (id, tenant, device_id, device, stream_id, point, rule, detector, fault, severity, state, active,
                    since, raised_at, score, message, evidence)
VALUES (%(id)s, %(tenant)s, %(device_id)s, %(device)s, %(stream_id)s, %(point)s, %(rule)s, %(detector)s, %(fault)s,
        %(severity)s, %(state)s, true, %(since)s, %(at)s, %(score)s, %(message)s, %(evidence)s)
ON CONFLICT DO NOTHING

-- name: occurrence_for_update
-- The occurrence an edge is about, held so that a person's action waits for ours.
SELECT state, active, severity FROM alarms WHERE id = %(id)s FOR UPDATE

-- name: worsen_alarm
-- The same occurrence at a higher severity.
UPDATE alarms SET severity = %(severity)s, state = %(state)s, score = greatest(score, %(score)s),
                  message = %(message)s, evidence = %(evidence)s
WHERE id = %(id)s

-- name: return_alarm
-- The condition is gone; what people have said of it stays.
UPDATE alarms SET active = false, state = %(state)s, returned_at = %(at)s, score = greatest(score, %(score)s)
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
