-- name: make_credential
-- Known to us; the gate tells the broker.
INSERT INTO device_credentials
    (tenant, device_id, device, name, kind, username, publishes, subscribes, sealed, created_by, expires_at)
VALUES (%(tenant)s, %(device_id)s, %(device)s, %(name)s, %(kind)s, %(username)s, %(publishes)s, %(subscribes)s,
        %(sealed)s, %(who)s, %(expires_at)s)
RETURNING id, device, name, kind, username, publishes, subscribes, created_at, created_by, expires_at, applied_at,
          revoked_at, revoked_by, missing_at, now() AS at

-- name: live_credentials
-- How many a device has (NULL: gateways of the tenant) that open something, or will.
SELECT count(*) FROM device_credentials
WHERE device_id IS NOT DISTINCT FROM %(device_id)s AND tenant = %(tenant)s
  AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- name: credentials
-- A page of credentials, newest first; of one device, of one id, or all.
SELECT id, device, name, kind, username, publishes, subscribes, created_at, created_by, expires_at, applied_at,
       revoked_at, revoked_by, missing_at, now() AS at
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

-- name: foreign_topics
-- Which topics outside of ours the tenant's credentials may be granted.
SELECT alone, topics FROM foreign_topics()
