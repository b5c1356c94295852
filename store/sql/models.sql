-- name: models
-- What was learnt of machines, the newest first.
SELECT id, device, version, state, asked_at, asked_by, made_at, learnt_from, learnt_until, learnt_days, readings, code,
       settings, hash, trial, reason, promoted_at, taken_at, ended_at, ended_by, arrays IS NOT NULL AS kept
FROM models
WHERE (%(device)s::text IS NULL OR device = %(device)s) AND (%(id)s::uuid IS NULL OR id = %(id)s)
  AND (%(at)s::timestamptz IS NULL OR (asked_at, id) < (%(at)s, %(after)s))
ORDER BY asked_at DESC, id DESC
LIMIT %(limit)s

-- name: ask
-- A machine is to be trained; asked for twice, it is once.
INSERT INTO models (tenant, device_id, device, version, state, asked_by)
SELECT d.tenant, d.id, d.device, 1 + coalesce((SELECT max(m.version) FROM models m WHERE m.device_id = d.id), 0), 'asked',
       %(who)s
FROM devices d WHERE d.device = %(device)s AND d.retired_at IS NULL
ON CONFLICT DO NOTHING

-- name: waiting_of
-- The training that a machine waits for.
SELECT m.id FROM models m WHERE m.device = %(device)s AND m.state IN ('asked', 'challenger')

-- name: schedule
-- Machines whose last training is too long ago, or that have gained a point since; none with a fault to be decided.
INSERT INTO models (tenant, device_id, device, version, state, asked_by)
SELECT d.tenant, d.id, d.device, 1 + coalesce(before.version, 0), 'asked', 'bellwether'
FROM devices d
CROSS JOIN LATERAL (SELECT max(m.version) AS version, max(m.asked_at) AS asked_at FROM models m
                    WHERE m.device_id = d.id AND m.version > 0) before
WHERE d.retired_at IS NULL AND d.learnt_at IS NOT NULL AND d.first_seen_at < now() - %(every)s::interval
  AND (coalesce(before.asked_at, '-infinity') < now() - %(every)s::interval
       OR EXISTS (SELECT FROM streams s WHERE s.device_id = d.id AND s.created_at > before.asked_at
                  AND before.asked_at < now() - INTERVAL '1 day'))
  AND NOT EXISTS (SELECT FROM tickets t WHERE t.device_id = d.id AND t.state NOT IN ('closed', 'cancelled')
                  AND t.fault NOT IN ('communication', 'site'))
ORDER BY before.asked_at NULLS FIRST, d.id
LIMIT %(limit)s
ON CONFLICT DO NOTHING

-- name: waiting
-- Trainings asked for, and those that were begun and not ended: their trainer may have died.
SELECT id, device_id FROM models WHERE state IN ('asked', 'challenger') ORDER BY asked_at, id LIMIT %(limit)s

-- name: hold
-- Whether this session is the only trainer of a machine; if so, it stays so until the session ends or lets go.
SELECT pg_try_advisory_lock(hashtext('bellwether training'), %(machine)s)

-- name: let_go
-- The machine is for others to train.
SELECT pg_advisory_unlock(hashtext('bellwether training'), %(machine)s)

-- name: begin
-- A training begins, for the first time or again; nothing where another has ended it meanwhile.
UPDATE models SET state = 'challenger', attempts = attempts + 1
WHERE id = %(id)s AND state IN ('asked', 'challenger')
RETURNING id, tenant, device_id, device, version, attempts

-- name: refuse
-- A challenger is not promoted.
UPDATE models
SET state = 'refused', reason = %(reason)s, made_at = now(), ended_at = now(), ended_by = 'bellwether',
    learnt_from = %(learnt_from)s, learnt_until = %(learnt_until)s, learnt_days = %(learnt_days)s, readings = %(readings)s,
    code = %(code)s, settings = %(settings)s, hash = %(hash)s, trial = %(trial)s
WHERE id = %(id)s

-- name: champion
-- The champion of a machine, held for a change.
SELECT id, learnt_until, learnt_days FROM models WHERE device_id = %(machine)s AND state = 'champion' FOR UPDATE

-- name: retire
-- A champion's time is over; it is kept as it is by now.
UPDATE models SET state = 'retired', arrays = %(arrays)s, hash = %(hash)s, ended_at = now(), ended_by = 'bellwether'
WHERE id = %(id)s

-- name: keep_first
-- What a machine had learnt by itself, before the training that takes its place.
INSERT INTO models (tenant, device_id, device, version, state, asked_at, asked_by, made_at, hash, arrays, ended_at, ended_by)
SELECT tenant, device_id, device, 0, 'retired', asked_at - INTERVAL '1 microsecond', 'ingest', now(), %(hash)s, %(arrays)s,
       now(), 'bellwether'
FROM models WHERE id = %(id)s
ON CONFLICT (device_id, version) DO UPDATE
SET state = 'retired', asked_at = excluded.asked_at, made_at = now(), hash = excluded.hash, arrays = excluded.arrays, ended_at = now(), reason = '',
    taken_at = NULL, promoted_at = NULL
RETURNING id

-- name: promote
-- A challenger is the champion from now on, once ingest has taken it over.
UPDATE models
SET state = 'champion', promoted_at = now(), made_at = now(), replaces = %(former)s, arrays = %(arrays)s,
    learnt_from = %(learnt_from)s, learnt_until = %(learnt_until)s, learnt_days = %(learnt_days)s, readings = %(readings)s,
    code = %(code)s, settings = %(settings)s, hash = %(hash)s, trial = %(trial)s
WHERE id = %(id)s

-- name: forget
-- Nobody comes back to these: what they were is told, what they had learnt is let go.
UPDATE models SET arrays = NULL
WHERE device_id = %(machine)s AND arrays IS NOT NULL AND state IN ('retired', 'rolled_back', 'refused')
  AND id <> %(former)s

-- name: undecided
-- Whether a machine has an open ticket of a fault: what it is about is not known yet.
SELECT EXISTS (SELECT FROM tickets t WHERE t.device_id = %(machine)s AND t.state NOT IN ('closed', 'cancelled')
               AND t.fault NOT IN ('communication', 'site'))

-- name: promised
-- Champions of the last weeks: what their trial said, since when they watch, and the alarms of theirs that were in vain:
-- a ticket found no fault, or they returned before anybody had taken their ticket up.
SELECT m.id, m.trial, (extract(epoch FROM now() - m.taken_at) / 86400)::float8 AS days,
       (SELECT count(*) FROM alarms a
        WHERE a.device_id = m.device_id AND a.raised_at >= m.taken_at AND a.detector = ANY (%(trained)s)
          AND (EXISTS (SELECT FROM ticket_alarms ta JOIN tickets t ON t.id = ta.ticket_id
                       WHERE ta.alarm_id = a.id AND t.verdict = 'no_fault')
               OR (a.returned_at IS NOT NULL
                   AND NOT EXISTS (SELECT FROM ticket_alarms ta JOIN tickets t ON t.id = ta.ticket_id
                                   WHERE ta.alarm_id = a.id AND t.state NOT IN ('new', 'cancelled'))))) AS in_vain
FROM models m
WHERE m.state = 'champion' AND m.taken_at > now() - %(watched)s::interval AND m.trial IS NOT NULL AND m.replaces IS NOT NULL

-- name: to_roll_back
-- A model with the one before it, held for a change.
SELECT m.state, f.id, f.arrays IS NOT NULL
FROM models m LEFT JOIN models f ON f.id = m.replaces
WHERE m.id = %(id)s
FOR UPDATE OF m

-- name: end_champion
-- A champion is one no more.
UPDATE models SET state = %(state)s, reason = %(reason)s, ended_at = now(), ended_by = %(who)s WHERE id = %(id)s

-- name: reinstate
-- What was before it is the champion again; taken_at: whether ingest has it to take over.
UPDATE models SET state = 'champion', reason = '', ended_at = NULL, ended_by = '',
    taken_at = CASE WHEN %(taken)s THEN coalesce(taken_at, now()) END
WHERE id = %(id)s

-- name: untaken
-- Champions that ingest has not taken over.
SELECT id, device_id, hash, arrays, replaces FROM models
WHERE state = 'champion' AND taken_at IS NULL AND id <> ALL (%(taken)s::uuid[])
ORDER BY promoted_at NULLS FIRST
LIMIT %(limit)s

-- name: note_taken
-- Ingest watches by these from now on.
UPDATE models SET taken_at = now() WHERE id = ANY (%(ids)s) AND state = 'champion' AND taken_at IS NULL
