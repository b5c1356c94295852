-- name: admit
-- Devices that have said no more than their status yet.
INSERT INTO devices (tenant, device)
SELECT * FROM unnest(%(tenants)s::text[], %(devices)s::text[])
ON CONFLICT DO NOTHING

-- name: note_status
-- What devices say of themselves; an empty text keeps what is known. What the broker has kept and tells again at each
-- subscription is no news: the time at which it was said stays. A last will was written when its device connected: its
-- own time, which is no later than what the device said itself, is not when it was said.
WITH compared AS (
    SELECT d.id, said.*,
           NOT said.retained OR d.online IS DISTINCT FROM said.online OR d.offline_reason <> said.reason
               OR (said.said_at IS NOT NULL AND said.said_at IS DISTINCT FROM d.said_at) AS is_news,
           said.said_at > coalesce(d.said_at, '-infinity') AS is_own_time
    FROM unnest(%(tenants)s::text[], %(devices)s::text[], %(kinds)s::text[], %(models)s::text[], %(sites)s::text[],
                %(gateways)s::text[], %(firmwares)s::text[], %(onlines)s::bool[], %(reasons)s::text[],
                %(retained)s::bool[], %(arrived)s::timestamptz[], %(said)s::timestamptz[])
        AS said (tenant, device, kind, model, site, gateway, firmware, online, reason, retained, arrived_at, said_at)
    JOIN devices d ON d.tenant = said.tenant AND d.device = said.device
)
UPDATE devices d SET
    kind = coalesce(nullif(compared.kind, ''), d.kind),
    model = coalesce(nullif(compared.model, ''), d.model),
    site = coalesce(nullif(compared.site, ''), d.site),
    gateway = coalesce(nullif(compared.gateway, ''), d.gateway),
    firmware = coalesce(nullif(compared.firmware, ''), d.firmware),
    online = compared.online,
    offline_reason = compared.reason,
    online_at = CASE WHEN NOT is_news THEN d.online_at
                     WHEN is_own_time THEN least(compared.said_at, compared.arrived_at)
                     ELSE compared.arrived_at END,
    said_at = CASE WHEN is_own_time THEN compared.said_at ELSE d.said_at END
FROM compared
WHERE d.id = compared.id
RETURNING d.tenant, d.device, d.online, d.offline_reason, is_news

-- name: places
-- Every device as far as its presence goes, and whether its stamps are mended.
SELECT id, tenant, device, site, gateway, expected_interval_s, online,
       coalesce(extract(epoch FROM online_at) * 1000000, 0)::bigint, offline_reason, retired_at IS NULL,
       clock_policy = 'correct'
FROM devices
ORDER BY id

-- name: note_presence
-- When devices were heard, how often that is expected, and what follows; written in place.
INSERT INTO device_presence (device_id, tenant, heard_at, expected_s, presence, presence_at)
SELECT d.id, d.tenant, heard_at, expected_s, presence, %(now)s
FROM unnest(%(machines)s::int[], %(heard)s::timestamptz[], %(expected)s::float8[], %(presences)s::text[])
    AS seen (machine, heard_at, expected_s, presence)
JOIN devices d ON d.id = seen.machine
ON CONFLICT (device_id) DO UPDATE SET
    heard_at = excluded.heard_at,
    expected_s = excluded.expected_s,
    presence = excluded.presence,
    presence_at = CASE WHEN device_presence.presence = excluded.presence THEN device_presence.presence_at
                       ELSE excluded.presence_at END

-- name: devices
-- A page of devices by name, or one of them, each with whether it is there.
SELECT d.device, d.site, d.gateway, d.parent, coalesce(p.presence, 'unknown') AS presence, p.presence_at AS since,
       p.heard_at AS last_heard_at, p.expected_s AS expected_every_s, d.expected_interval_s, d.online, d.online_at,
       d.offline_reason, p.clock_offset_s, p.clock_drift_ppm, p.clock_at, d.clock_policy
FROM devices d LEFT JOIN device_presence p ON p.device_id = d.id
WHERE (%(device)s::text IS NULL OR d.device = %(device)s)
  AND (%(after)s::text IS NULL OR d.device > %(after)s)
  AND (%(presence)s::text IS NULL OR coalesce(p.presence, 'unknown') = %(presence)s)
  AND (%(site)s::text IS NULL OR d.site = %(site)s)
  AND (d.retired_at IS NULL OR %(device)s::text IS NOT NULL)
ORDER BY d.device
LIMIT %(limit)s

-- name: watch_device
-- How a device is watched, by what its owner says; what is not said stays as it is.
UPDATE devices SET
    gateway = coalesce(%(gateway)s, gateway),
    parent = coalesce(%(parent)s, parent),
    expected_interval_s = CASE WHEN %(says_interval)s THEN %(interval_s)s ELSE expected_interval_s END,
    clock_policy = coalesce(%(clock_policy)s, clock_policy)
WHERE device = %(device)s
RETURNING device
