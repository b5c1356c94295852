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
