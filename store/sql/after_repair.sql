-- name: end_running
-- A check that still runs ends without a verdict.
UPDATE repair_checks SET look_at = NULL, settled_at = %(now)s, reason = %(reason)s
WHERE ticket_id = %(ticket)s AND look_at IS NOT NULL

-- name: begin
-- A check of a repair, to be looked at from then on.
INSERT INTO repair_checks (ticket_id, device_id, tenant, turn, stage, begins_at, look_at, reason)
SELECT id, device_id, tenant, turn, %(stage)s, %(now)s, %(look_at)s, %(reason)s FROM tickets WHERE id = %(ticket)s

-- name: of_ticket
-- The checks of a ticket, the newest first.
SELECT id, ticket_id, turn, stage, begins_at, look_at, looked_at, settled_at, outcome, reason, ran_h, found, answer
FROM repair_checks
WHERE ticket_id = %(ticket)s
ORDER BY begins_at DESC
LIMIT %(limit)s

-- name: unwell
-- What the last check after a repair of this turn says, where it is settled and not well.
SELECT reason FROM (
    SELECT outcome, reason, settled_at FROM repair_checks
    WHERE ticket_id = %(ticket)s AND turn = %(turn)s AND stage = 'test'
    ORDER BY begins_at DESC LIMIT 1
) latest WHERE outcome = 'not_well' AND settled_at IS NOT NULL

-- name: due
-- Checks whose turn it is, of all tenants, those that have waited longest first.
SELECT id, tenant FROM repair_checks WHERE look_at <= %(now)s ORDER BY look_at LIMIT %(limit)s

-- name: hold
-- A check whose turn it is with what its ticket says, held; nothing where somebody else has it in hand or it is settled.
SELECT c.id, c.ticket_id, c.tenant, c.device_id, d.device, c.stage, c.begins_at, t.since, t.leading_point,
       (SELECT min(a.since) FROM ticket_alarms ta JOIN alarms a ON a.id = ta.alarm_id WHERE ta.ticket_id = t.id) AS alarmed_since,
       (SELECT max(e.at) FROM ticket_events e
        WHERE e.ticket_id = t.id AND e.to_state = 'repairing' AND e.at <= c.begins_at) AS repaired_from,
       (SELECT (terms ->> 'after_repair_h')::float8 FROM terms
        WHERE tenant = c.tenant ORDER BY version DESC LIMIT 1) AS wanted_h
FROM repair_checks c JOIN tickets t ON t.id = c.ticket_id JOIN devices d ON d.id = c.device_id
WHERE c.id = %(id)s AND c.look_at <= %(now)s
FOR NO KEY UPDATE OF c SKIP LOCKED

-- name: ill
-- When else the machine was not well, or may not have been: from when to when, and whether it was repaired then.
SELECT t.since, coalesce(t.closed_at, 'infinity') > %(until)s AS lasts, least(t.closed_at, %(until)s) AS closed_at,
       t.verdict IN ('confirmed', 'other_fault') AND t.state = 'closed' AS repaired
FROM tickets t
WHERE t.device_id = %(device)s AND t.id <> %(ticket)s AND t.since < %(until)s AND coalesce(t.closed_at, 'infinity') > %(from)s
  AND (t.verdict IN ('confirmed', 'other_fault', 'sensor_fault') OR t.source = 'alarm' AND t.state NOT IN ('closed', 'cancelled'))
  AND t.fault NOT IN ('communication', 'site')

-- name: rows
-- Rows of ten minutes of some streams in some spans of time: the mean, and the largest less the smallest.
SELECT r.stream_id, extract(epoch FROM time_bucket('10 minutes', r.bucket))::bigint * 1000000 AS time_us,
       sum(r.mean * r.n) / sum(r.n) AS level, max(r.max) - min(r.min) AS swing
FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) AS span (begins, ends)
JOIN readings_1m r ON r.stream_id = ANY (%(streams)s) AND r.bucket >= span.begins AND r.bucket < span.ends
GROUP BY 1, 2
ORDER BY 2

-- name: blocks
-- The vibration velocity of each axis by its blocks in some spans of time.
SELECT axis, extract(epoch FROM time_bucket('10 minutes', time))::bigint * 1000000 AS time_us, avg(velocity_mm_s) AS level
FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) AS span (begins, ends)
JOIN vibration_verdicts ON device_id = %(device)s AND time >= span.begins AND time < span.ends
WHERE velocity_mm_s IS NOT NULL
GROUP BY 1, 2
ORDER BY 2

-- name: beside
-- What else is known of the machine: its health before and since, and alarms of it that were raised since and stand.
SELECT (SELECT avg(measured) FROM health
        WHERE device_id = %(device)s AND hour >= %(before_from)s AND hour < %(before_to)s) AS health_before,
       (SELECT avg(measured) FROM health WHERE device_id = %(device)s AND hour >= %(since)s) AS health_now,
       (SELECT count(*) FROM alarms
        WHERE device_id = %(device)s AND raised_at >= %(since)s AND active AND fault NOT IN ('communication', 'site')) AS alarms

-- name: looked
-- What was seen of a check, and when it is looked at again: never, where it is settled.
UPDATE repair_checks
SET looked_at = %(now)s, look_at = %(look_at)s, settled_at = CASE WHEN %(look_at)s::timestamptz IS NULL THEN %(now)s::timestamptz END,
    outcome = %(outcome)s, reason = %(reason)s, ran_h = %(ran_h)s, found = %(found)s
WHERE id = %(id)s

-- name: postpone
-- Look at one later that could not be looked at.
UPDATE repair_checks SET looked_at = %(now)s, look_at = %(look_at)s WHERE id = %(id)s AND look_at IS NOT NULL

-- name: send
-- A repair that did not hold is told where tickets are moved; the same is sent once.
INSERT INTO outbox (event_id, tenant, destination, payload)
VALUES (%(id)s, %(tenant)s, 'after_repair', jsonb_build_object('check_id', %(id)s::text))
ON CONFLICT DO NOTHING

-- name: lock
-- A settled check, held.
SELECT id, ticket_id, turn, stage, begins_at, look_at, looked_at, settled_at, outcome, reason, ran_h, found, answer
FROM repair_checks
WHERE id = %(id)s
FOR NO KEY UPDATE

-- name: answered
-- What became of the ticket.
UPDATE repair_checks SET answer = %(answer)s WHERE id = %(id)s
