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

-- name: note_clocks
-- How devices' clocks stand.
INSERT INTO device_presence (device_id, tenant, clock_offset_s, clock_drift_ppm, clock_at)
SELECT d.id, d.tenant, seen.offset_s, seen.drift_ppm, seen.at
FROM unnest(%(tenants)s::text[], %(devices)s::text[], %(at)s::timestamptz[], %(offsets)s::float8[], %(drifts)s::float8[])
    AS seen (tenant, device, at, offset_s, drift_ppm)
JOIN devices d ON d.tenant = seen.tenant AND d.device = seen.device
ON CONFLICT (device_id) DO UPDATE SET
    clock_offset_s = excluded.clock_offset_s,
    clock_drift_ppm = excluded.clock_drift_ppm,
    clock_at = excluded.clock_at

-- name: note_clock_changes
-- What was found of clocks that show something else than before.
INSERT INTO device_clock (tenant, device, at, offset_s, before_s, cause)
SELECT * FROM unnest(%(tenants)s::text[], %(devices)s::text[], %(at)s::timestamptz[], %(offsets)s::float8[],
                     %(befores)s::float8[], %(causes)s::text[])
ON CONFLICT DO NOTHING

-- name: clocks_known
-- How devices' clocks stood.
SELECT d.tenant, d.device, p.clock_offset_s
FROM device_presence p JOIN devices d ON d.id = p.device_id
WHERE p.clock_offset_s IS NOT NULL

-- name: clock_pieces
-- What the stamps of some devices are mended by, in the order in which it was made.
SELECT p.tenant, p.device, p.boot, p.from_us, p.used_us, p.shift_us, p.rate_ppm
FROM clock_pieces p
JOIN unnest(%(tenants)s::text[], %(devices)s::text[]) AS wanted (tenant, device)
  ON p.tenant = wanted.tenant AND p.device = wanted.device
ORDER BY p.made_at, p.from_us

-- name: newest_readings
-- Up to where the readings of some devices were stored.
SELECT s.tenant, s.device, max(newest.time)
FROM unnest(%(tenants)s::text[], %(devices)s::text[]) AS wanted (tenant, device)
JOIN streams s ON s.tenant = wanted.tenant AND s.device = wanted.device
CROSS JOIN LATERAL (SELECT time FROM readings WHERE stream_id = s.id ORDER BY time DESC LIMIT 1) newest
GROUP BY s.tenant, s.device

-- name: save_pieces
-- In the transaction of what is stored by them. Of one that is there only how far it was used can have changed.
INSERT INTO clock_pieces (tenant, device, boot, from_us, used_us, shift_us, rate_ppm)
SELECT * FROM unnest(%(tenants)s::text[], %(devices)s::text[], %(boots)s::bigint[], %(froms)s::bigint[],
                     %(useds)s::bigint[], %(shifts)s::bigint[], %(rates)s::int[])
ON CONFLICT (tenant, device, boot, from_us) DO UPDATE SET used_us = greatest(clock_pieces.used_us, excluded.used_us)

-- name: clock_history
-- What the clock of a device was found to show, newest first.
SELECT at, offset_s, before_s, cause FROM device_clock WHERE device = %(device)s ORDER BY at DESC LIMIT %(limit)s

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

-- name: clock_policy
-- What new devices of the tenant begin with.
SELECT clock_policy FROM tenants WHERE id = current_setting('bellwether.tenant', true)

-- name: set_clock_policy
-- From now on; who is there keeps its own.
UPDATE tenants SET clock_policy = %(clock_policy)s WHERE id = current_setting('bellwether.tenant', true)

-- name: wrong_clocks
-- Devices whose clocks are known to be wrong, the worst of them, and how many of them are mended.
SELECT count(*), count(*) FILTER (WHERE d.clock_policy = 'correct'),
       (array_agg(d.tenant || '/' || d.device ORDER BY abs(p.clock_offset_s) DESC))[1],
       (array_agg(p.clock_offset_s ORDER BY abs(p.clock_offset_s) DESC))[1]
FROM device_presence p JOIN devices d ON d.id = p.device_id
WHERE (p.clock_offset_s > %(ahead_s)s OR p.clock_offset_s < -%(behind_s)s::float8) AND d.retired_at IS NULL
