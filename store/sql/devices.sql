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

-- name: revoke_of_device
-- All of a device.
UPDATE device_credentials SET revoked_at = now(), revoked_by = %(who)s, sealed = NULL
WHERE device = %(device)s AND revoked_at IS NULL
