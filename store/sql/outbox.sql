-- name: claim
-- What is due, oldest first, leased: who dies with it gives it back when the lease is over.
UPDATE outbox SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => %(lease_s)s)
WHERE id IN (
    SELECT id FROM outbox
    WHERE delivered_at IS NULL AND given_up_at IS NULL AND next_attempt_at <= now()
    ORDER BY id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING id, event_id, tenant, destination, payload, attempts

-- name: delivered
-- It has arrived.
UPDATE outbox SET delivered_at = now(), last_error = NULL WHERE id = %s

-- name: try_again
-- It has not arrived, and may yet.
UPDATE outbox SET next_attempt_at = now() + make_interval(secs => %s), last_error = %s WHERE id = %s

-- name: give_up
-- It is refused for good: somebody must look.
UPDATE outbox SET given_up_at = now(), last_error = %s WHERE id = %s

-- name: forget_idempotency
-- Who repeats a request after a day means a new one.
DELETE FROM idempotency WHERE created_at < now() - INTERVAL '1 day'

-- name: forget_live_events
-- A page that was away for a day reads its state anew.
DELETE FROM live_events WHERE at < now() - INTERVAL '1 day'

-- name: forget_delivered
-- What has arrived is kept a month, to be looked at.
DELETE FROM outbox WHERE delivered_at < now() - INTERVAL '30 days'
