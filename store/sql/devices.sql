-- name: retired
-- Devices whose messages are turned away.
SELECT tenant, device FROM devices WHERE retired_at IS NOT NULL

-- name: expected
-- Tenants that admit nobody unregistered, and their devices that have no stream yet (NULL: no such device). Those that
-- have one are known to ingest anyway.
SELECT t.id, d.device
FROM tenants t
LEFT JOIN devices d ON d.tenant = t.id AND d.retired_at IS NULL AND NOT EXISTS (SELECT FROM streams WHERE device_id = d.id)
WHERE t.admission = 'registered'

-- name: admission
-- Whom the tenant admits.
SELECT admission FROM tenants WHERE id = current_setting('bellwether.tenant', true)

-- name: set_admission
-- From now on; who is there stays.
UPDATE tenants SET admission = %(admission)s WHERE id = current_setting('bellwether.tenant', true)

-- name: register
-- A device that has not spoken yet. A retired one comes back, unless another has taken its place.
INSERT INTO devices (tenant, device, kind, model, site)
VALUES (%(tenant)s, %(device)s, %(kind)s, %(model)s, %(site)s)
ON CONFLICT (tenant, device) DO UPDATE SET retired_at = NULL
WHERE devices.retired_at IS NOT NULL AND devices.replaced_by IS NULL
RETURNING device

-- name: retire
-- Its messages are turned away from now on. Retiring twice keeps the first time.
UPDATE devices SET retired_at = coalesce(retired_at, now()), replaced_by = coalesce(replaced_by, %(replaced_by)s)
WHERE device = %(device)s
RETURNING kind, model, site

-- name: standing_devices
-- Whether a device may be given something new; held until the transaction ends, so that two that count its
-- credentials count one after the other.
SELECT id, retired_at IS NULL FROM devices WHERE device = %(device)s FOR UPDATE

-- name: make_credential
-- Known to us; the gate tells the broker.
INSERT INTO device_credentials
    (tenant, device_id, device, name, kind, username, publishes, subscribes, sealed, created_by, expires_at)
VALUES (%(tenant)s, %(device_id)s, %(device)s, %(name)s, %(kind)s, %(username)s, %(publishes)s, %(subscribes)s,
        %(sealed)s, %(who)s, %(expires_at)s)
RETURNING id, device, name, kind, username, publishes, subscribes, created_at, created_by, expires_at, applied_at,
          revoked_at, revoked_by, removed_at, missing_at, now() AS at

-- name: live_credentials
-- How many a device has (NULL: gateways of the tenant) that open something, or will.
SELECT count(*) FROM device_credentials
WHERE device_id IS NOT DISTINCT FROM %(device_id)s AND tenant = %(tenant)s
  AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- name: credentials
-- A page of credentials, newest first; of one device, of one id, or all.
SELECT id, device, name, kind, username, publishes, subscribes, created_at, created_by, expires_at, applied_at,
       revoked_at, revoked_by, removed_at, missing_at, now() AS at
FROM device_credentials
WHERE (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
  AND (%(after_at)s::timestamptz IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s))
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s

-- name: revoke
-- It opens nothing as soon as the gate has told the broker. Revoking twice keeps the first time.
UPDATE device_credentials
SET revoked_at = coalesce(revoked_at, now()), revoked_by = coalesce(revoked_by, %(who)s), sealed = NULL
WHERE id = %(id)s
RETURNING id

-- name: revoke_of_device
-- All of a device.
UPDATE device_credentials SET revoked_at = now(), revoked_by = %(who)s, sealed = NULL
WHERE device = %(device)s AND revoked_at IS NULL

-- name: foreign_topics
-- Which topics outside of ours the tenant's credentials may be granted.
SELECT alone, topics FROM foreign_topics()

-- name: gate
-- What names of credentials begin with, and what passwords are sealed with.
SELECT prefix, public_key, seen_at FROM gate

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

-- name: machine
-- What a device's owner said of the machine it sits on.
SELECT machine FROM devices WHERE device = %(device)s

-- name: said_of_machine
-- Who said last what a machine is.
SELECT s.who, s.at FROM machine_said s JOIN devices d ON d.id = s.device_id
WHERE d.device = %(device)s
ORDER BY s.at DESC, s.id DESC
LIMIT 1

-- name: set_machine
-- All of it anew: what is not said any more is not known any more. Who said what stays.
WITH said AS (
    UPDATE devices SET machine = %(facts)s WHERE device = %(device)s RETURNING id, tenant
)
INSERT INTO machine_said (device_id, tenant, who, facts) SELECT id, tenant, %(who)s, %(facts)s FROM said RETURNING id
