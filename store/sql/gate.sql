-- name: gate
-- What names of credentials begin with, and what passwords are sealed with.
SELECT prefix, public_key FROM gate

-- name: hold_gate
-- One gate a database. Held until the session ends.
SELECT pg_try_advisory_lock(hashtext('bellwether gate'))

-- name: open_gate
-- There is a gate, and this is how to seal for it.
UPDATE gate SET public_key = %s, seen_at = now() RETURNING prefix

-- name: gate_lives
-- A sign of life.
UPDATE gate SET seen_at = now()

-- name: to_apply
-- Credentials that the broker does not know yet, oldest first.
SELECT id, tenant, device, kind, username, publishes, subscribes, sealed FROM device_credentials
WHERE applied_at IS NULL AND missing_at IS NULL AND removed_at IS NULL AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > now())
ORDER BY created_at, id
LIMIT %s
FOR UPDATE SKIP LOCKED

-- name: to_remove
-- Credentials whose time is over and that the broker may still let in.
SELECT id, username FROM device_credentials
WHERE removed_at IS NULL AND (revoked_at IS NOT NULL OR expires_at <= now())
ORDER BY revoked_at, id
LIMIT %s
FOR UPDATE SKIP LOCKED

-- name: note_applied
-- The broker lets them in; nobody needs their passwords any more.
UPDATE device_credentials SET applied_at = now(), missing_at = NULL, sealed = NULL WHERE id = ANY(%s)

-- name: note_removed
-- The broker has thrown them out.
UPDATE device_credentials SET removed_at = now(), sealed = NULL WHERE id = ANY(%s)

-- name: note_missing
-- The broker cannot let them in: it has forgotten them, or their passwords cannot be read. To be made anew by a person.
UPDATE device_credentials SET missing_at = now(), sealed = NULL WHERE username = ANY(%s) AND missing_at IS NULL

-- name: standing
-- What the broker must know.
SELECT username FROM device_credentials WHERE applied_at IS NOT NULL AND removed_at IS NULL

-- name: note_found
-- The broker knows them again: its files were put back.
UPDATE device_credentials SET missing_at = NULL
WHERE username = ANY(%s) AND missing_at IS NOT NULL AND applied_at IS NOT NULL

-- name: may_look
-- Whether there are credentials, and this role may see them.
SELECT CASE WHEN to_regclass('device_credentials') IS NULL THEN false
            ELSE has_table_privilege(to_regclass('device_credentials')::oid, 'SELECT') END

-- name: glance
-- How long ago the gate was last seen (NULL: there never was one), and which credentials need somebody.
SELECT (SELECT extract(epoch FROM now() - seen_at)::float8 FROM gate),
       count(*) FILTER (WHERE missing_at IS NOT NULL),
       count(*) FILTER (WHERE missing_at IS NULL AND expires_at < now() + %(soon)s)
FROM device_credentials
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
