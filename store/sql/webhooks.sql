-- name: page
-- A tenant's endpoints, the newest first, with what could not be delivered to each.
SELECT w.id, w.url, w.events, w.note, w.enabled, w.earlier_until, w.created_at, w.changed_at, w.changed_by,
       w.failing_since, w.last_error,
       (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'waiting') AS waiting,
       (SELECT count(*) FROM webhook_deliveries d
        WHERE d.webhook_id = w.id AND d.state = 'undeliverable' AND d.replayed_at IS NULL) AS undeliverable
FROM webhooks w
WHERE (%(id)s::uuid IS NULL OR w.id = %(id)s)
  AND (%(after_at)s::timestamptz IS NULL OR (w.created_at, w.id) < (%(after_at)s, %(after_id)s::uuid))
ORDER BY w.created_at DESC, w.id DESC
LIMIT %(limit)s

-- name: count
-- How many there are.
SELECT count(*) FROM webhooks

-- name: create
-- A new endpoint.
INSERT INTO webhooks (id, tenant, url, events, note, key, changed_by)
VALUES (%(id)s, %(tenant)s, %(url)s, %(events)s, %(note)s, %(key)s, %(who)s)

-- name: change
-- All of it anew but its keys. Another address is tried at once.
UPDATE webhooks
SET url = %(url)s, events = %(events)s, note = %(note)s, enabled = %(enabled)s, changed_at = now(), changed_by = %(who)s,
    failures = 0, failing_since = NULL, rests_until = NULL, last_error = ''
WHERE id = %(id)s
RETURNING id

-- name: end_waiting
-- What waits for endpoints that were switched off is not delivered, and seen. Of one, or of all.
UPDATE webhook_deliveries d SET state = 'undeliverable', ended_at = now(), error = 'the webhook was switched off'
FROM webhooks w
WHERE (%(id)s::uuid IS NULL OR w.id = %(id)s) AND NOT w.enabled AND d.webhook_id = w.id AND d.state = 'waiting'

-- name: rotate
-- Another key; the one before goes on signing for a while.
UPDATE webhooks
SET earlier_key = CASE WHEN %(until)s > now() THEN key END, earlier_until = CASE WHEN %(until)s > now() THEN %(until)s END,
    key = %(key)s, changed_at = now(), changed_by = %(who)s
WHERE id = %(id)s
RETURNING id

-- name: remove
-- An endpoint with its deliveries.
DELETE FROM webhooks WHERE id = %(id)s RETURNING id

-- name: deliveries
-- What was sent to an endpoint, or waits to be, the newest first.
SELECT d.id, d.event_id, e.kind, e.at, d.asked_at, d.asked_by, d.state, d.attempts,
       CASE WHEN d.state = 'waiting' THEN d.next_attempt_at END AS next_attempt_at, d.ended_at, d.status, d.took_ms, d.error,
       d.replayed_at, e.body
FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
WHERE d.webhook_id = %(webhook)s
  AND (%(id)s::bigint IS NULL OR d.id = %(id)s)
  AND (%(state)s::text IS NULL OR d.state = %(state)s)
  AND (%(start)s::timestamptz IS NULL OR e.at >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR e.at < %(end)s)
  AND (%(after)s::bigint IS NULL OR d.id < %(after)s)
ORDER BY d.id DESC
LIMIT %(limit)s

-- name: replay
-- Send again, the oldest first: what was chosen and has ended, each event once. What took its place is no more lost.
WITH chosen AS (
    SELECT max(d.id) AS id, d.event_id
    FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
    WHERE d.webhook_id = %(webhook)s AND d.state <> 'waiting'
      AND (cardinality(%(ids)s::bigint[]) = 0 OR d.id = ANY(%(ids)s))
      AND (%(state)s::text IS NULL OR d.state = %(state)s AND d.replayed_at IS NULL)
      AND (%(start)s::timestamptz IS NULL OR e.at >= %(start)s)
      AND (%(end)s::timestamptz IS NULL OR e.at < %(end)s)
      AND NOT EXISTS (SELECT FROM webhook_deliveries w
                      WHERE w.webhook_id = d.webhook_id AND w.event_id = d.event_id AND w.state = 'waiting')
    GROUP BY d.event_id ORDER BY 1 LIMIT %(limit)s
), replaced AS (
    UPDATE webhook_deliveries d SET replayed_at = now()
    FROM chosen c WHERE d.webhook_id = %(webhook)s AND d.event_id = c.event_id AND d.state <> 'waiting' AND d.replayed_at IS NULL
)
INSERT INTO webhook_deliveries (tenant, webhook_id, event_id, asked_by)
SELECT %(tenant)s, %(webhook)s, event_id, %(who)s FROM chosen ORDER BY id

-- name: try_out
-- An event that nothing has happened for, to see whether it arrives.
WITH told AS (
    INSERT INTO webhook_events (tenant, at, kind, body) VALUES (%(tenant)s, now(), 'webhook.test', '{}') RETURNING id
)
INSERT INTO webhook_deliveries (tenant, webhook_id, event_id, asked_by) SELECT %(tenant)s, %(webhook)s, id, %(who)s FROM told
RETURNING id

-- name: wake
-- Whoever delivers need not wait for its next round.
SELECT pg_notify('bellwether_webhooks', '')

-- name: claim
-- What is due, leased: who dies with it gives it back when the lease is over. Of an endpoint that fails one only, and of
-- none more than a few, so that one with a thousand waiting leaves the others room.
WITH due AS (
    SELECT one.id
    FROM webhooks w CROSS JOIN LATERAL (
        SELECT d.id, d.next_attempt_at FROM webhook_deliveries d
        WHERE d.webhook_id = w.id AND d.state = 'waiting' AND d.next_attempt_at <= now()
        ORDER BY d.next_attempt_at, d.id
        LIMIT CASE WHEN w.failures > 0 THEN 1 ELSE %(most_each)s END
        FOR UPDATE SKIP LOCKED
    ) one
    WHERE w.enabled AND coalesce(w.rests_until <= now(), true) AND w.id <> ALL(%(busy)s)
    ORDER BY one.next_attempt_at LIMIT %(limit)s
), taken AS (
    UPDATE webhook_deliveries d SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => %(lease_s)s)
    FROM due WHERE d.id = due.id
    RETURNING d.id, d.webhook_id, d.event_id, d.attempts
)
SELECT t.id, t.webhook_id, w.url, w.key, CASE WHEN w.earlier_until > now() THEN w.earlier_key END AS earlier_key, t.event_id,
       e.tenant, e.at, e.kind, e.body, t.attempts
FROM taken t JOIN webhooks w ON w.id = t.webhook_id JOIN webhook_events e ON e.id = t.event_id
ORDER BY t.id

-- name: delivered
-- It was taken.
UPDATE webhook_deliveries
SET state = 'delivered', ended_at = now(), status = %(status)s, took_ms = %(took_ms)s, error = ''
WHERE id = %(id)s

-- name: hurry
-- An endpoint that was long away is back: what waited for its next attempt goes now.
UPDATE webhook_deliveries d SET next_attempt_at = now()
FROM webhooks w
WHERE w.id = %(webhook)s AND w.failing_since < now() - make_interval(secs => %(long_s)s)
  AND d.webhook_id = w.id AND d.state = 'waiting' AND d.attempts > 0 AND d.error <> ''

-- name: recover
-- An endpoint works.
UPDATE webhooks SET failures = 0, failing_since = NULL, rests_until = NULL, last_error = ''
WHERE id = %(webhook)s AND failures > 0

-- name: failed
-- It was not taken, and may yet.
UPDATE webhook_deliveries
SET next_attempt_at = now() + make_interval(secs => %(in_s)s), status = %(status)s, took_ms = %(took_ms)s, error = %(error)s
WHERE id = %(id)s AND state = 'waiting'

-- name: rest
-- An endpoint rests, longer each time; what was under way when it began to counts as one failure.
UPDATE webhooks
SET rests_until = now() + make_interval(secs => least(%(first_s)s * 2 ^ least(failures, 30), %(last_s)s) * %(jitter)s),
    failures = failures + 1, failing_since = coalesce(failing_since, now()), last_error = %(error)s
WHERE id = %(webhook)s AND coalesce(rests_until <= now(), true)

-- name: give_up
-- What was tried for a day, and what has waited for a day at an endpoint that failed all that time.
UPDATE webhook_deliveries d
SET state = 'undeliverable', ended_at = now(), error = %(error)s
FROM webhooks w
WHERE w.id = %(webhook)s AND d.webhook_id = w.id AND d.state = 'waiting'
  AND d.asked_at < now() - make_interval(secs => %(most_s)s)
  AND (d.id = %(id)s OR w.failing_since < now() - make_interval(secs => %(most_s)s))

-- name: forget_keys
-- Keys that sign no more.
UPDATE webhooks SET earlier_key = NULL, earlier_until = NULL WHERE earlier_until < now()

-- name: forget_deliveries
-- What has ended is kept as long as its tenant says.
DELETE FROM webhook_deliveries d
WHERE d.ended_at < now() - make_interval(days => coalesce(
    (SELECT r.keep_days FROM retention r WHERE r.tenant = d.tenant AND r.class = 'webhooks'), %(otherwise)s))

-- name: forget_events
-- What no delivery speaks of any more.
DELETE FROM webhook_events e
WHERE e.at < now() - INTERVAL '1 hour' AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.event_id = e.id)
