-- name: of_person
-- Somebody's channels, the oldest first.
SELECT id, name, scheme, host, enabled, made_at, worked_at, failing_since, last_error
FROM person_channels
WHERE login = %(login)s AND (%(id)s::uuid IS NULL OR id = %(id)s)
ORDER BY made_at, id

-- name: create
-- Another channel of somebody's.
INSERT INTO person_channels (id, tenant, login, name, scheme, host, address)
VALUES (%(id)s, %(tenant)s, %(login)s, %(name)s, %(scheme)s, %(host)s, %(address)s)

-- name: change
-- Its name, and whether it is used. Switched on again it has not failed yet.
UPDATE person_channels
SET name = %(name)s, enabled = %(enabled)s,
    failing_since = CASE WHEN enabled THEN failing_since END, last_error = CASE WHEN enabled THEN last_error ELSE '' END
WHERE id = %(id)s AND login = %(login)s
RETURNING id

-- name: remove
-- Somebody is reached there no more; what waits for it is seen as undeliverable.
DELETE FROM person_channels WHERE id = %(id)s AND login = %(login)s RETURNING id

-- name: works
-- A message went through.
UPDATE person_channels SET worked_at = now(), failing_since = NULL, last_error = '' WHERE id = %(id)s

-- name: fails
-- A message did not go through.
UPDATE person_channels SET failing_since = coalesce(failing_since, now()), last_error = %(error)s WHERE id = %(id)s

-- name: preferences
-- What somebody wishes, where they have said so.
SELECT alarms_from, tickets_from, zone, quiet_from, quiet_to, urgent_passes
FROM person_wishes WHERE tenant = %(tenant)s AND login = %(login)s

-- name: keep_preferences
-- What somebody wishes from now on.
INSERT INTO person_wishes (tenant, login, alarms_from, tickets_from, zone, quiet_from, quiet_to, urgent_passes, changed_at)
VALUES (%(tenant)s, %(login)s, %(alarms_from)s, %(tickets_from)s, %(zone)s, %(quiet_from)s, %(quiet_to)s, %(urgent_passes)s, now())
ON CONFLICT (tenant, login) DO UPDATE
SET alarms_from = excluded.alarms_from, tickets_from = excluded.tickets_from, zone = excluded.zone,
    quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to, urgent_passes = excluded.urgent_passes,
    changed_at = excluded.changed_at

-- name: mail
-- The account that customers are written to from.
SELECT scheme, host, changed_at, changed_by FROM tenant_mail WHERE tenant = %(tenant)s

-- name: keep_mail
-- Another account.
INSERT INTO tenant_mail (tenant, scheme, host, address, changed_at, changed_by)
VALUES (%(tenant)s, %(scheme)s, %(host)s, %(address)s, now(), %(who)s)
ON CONFLICT (tenant) DO UPDATE
SET scheme = excluded.scheme, host = excluded.host, address = excluded.address, changed_at = excluded.changed_at,
    changed_by = excluded.changed_by

-- name: remove_mail
-- Customers are written to no more.
DELETE FROM tenant_mail WHERE tenant = %(tenant)s
