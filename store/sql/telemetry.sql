-- name: streams_known
-- Every stream, for the directory that ingest keeps.
SELECT id, device_id, tenant, device, point, quantity, unit FROM streams ORDER BY id

-- name: streams_numbered
-- Streams by their number.
SELECT id, device_id, tenant, device, point, quantity, unit FROM streams WHERE id = ANY (%s)

-- name: tenants_known
-- Tenants whose devices are admitted.
SELECT id FROM tenants

-- name: add_devices
-- Devices on first contact; one that another process has just added is left as it is.
INSERT INTO devices (tenant, device)
SELECT * FROM unnest(%s::text[], %s::text[])
ON CONFLICT DO NOTHING

-- name: add_streams
-- Streams on first sight.
INSERT INTO streams (device_id, tenant, device, point, quantity, unit)
SELECT d.id, d.tenant, d.device, wanted.point, wanted.quantity, wanted.unit
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) AS wanted (tenant, device, point, quantity, unit)
JOIN devices d ON d.tenant = wanted.tenant AND d.device = wanted.device
ON CONFLICT DO NOTHING

-- name: streams_of
-- The numbers of streams just added.
SELECT s.id, s.device_id, s.tenant, s.device, s.point, s.quantity, s.unit
FROM streams s
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS wanted (tenant, device, point)
  ON s.tenant = wanted.tenant AND s.device = wanted.device AND s.point = wanted.point

-- name: copy_readings
-- The fast way in, for readings that are all new.
COPY readings (time, stream_id, value, quality) FROM STDIN (FORMAT binary)

-- name: devices_named
-- The numbers of devices by their names.
SELECT d.id, d.tenant, d.device
FROM unnest(%s::text[], %s::text[]) AS named (tenant, device)
JOIN devices d ON d.tenant = named.tenant AND d.device = named.device

-- name: make_stage
-- Where readings wait that may hold some already stored: COPY itself knows no ON CONFLICT.
CREATE TEMP TABLE IF NOT EXISTS stage (time timestamptz, stream_id int, value float8, quality smallint, ordinal int)
ON COMMIT DELETE ROWS

-- name: copy_stage
-- Into the stage.
COPY stage (time, stream_id, value, quality, ordinal) FROM STDIN (FORMAT binary)

-- name: unstage
-- The new ones among the first so many that are staged; which they were.
WITH stored AS (
    INSERT INTO readings (time, stream_id, value, quality)
    SELECT time, stream_id, value, quality FROM stage WHERE ordinal < %s ORDER BY stream_id, time
    ON CONFLICT DO NOTHING
    RETURNING stream_id, time
)
SELECT s.ordinal FROM stage s JOIN stored USING (stream_id, time) WHERE s.ordinal < %s

-- name: contest
-- Those staged whose time is taken by another value, kept beside it; which they were.
WITH kept AS (
    INSERT INTO contested (time, stream_id, value, quality)
    SELECT s.time, s.stream_id, s.value, s.quality | %(flag)s
    FROM stage s
    CROSS JOIN LATERAL (
        SELECT r.value FROM readings r
        WHERE r.stream_id = s.stream_id AND r.time = s.time AND r.time BETWEEN %(first)s AND %(last)s
    ) AS standing
    WHERE standing.value <> s.value
    ON CONFLICT DO NOTHING
    RETURNING stream_id, time, value
)
SELECT min(s.ordinal) FROM stage s JOIN kept USING (stream_id, time, value) GROUP BY stream_id, time, value

-- name: empty_stage
-- For the next delivery of the same transaction.
DELETE FROM stage

-- name: devices_after
-- Devices that came after one; all of them after 0.
SELECT id, tenant, device FROM devices WHERE id > %s ORDER BY id

-- name: readings_after
-- What was stored after the last scored reading of each stream, to be scored now: a crash falls between the two.
SELECT extract(epoch FROM r.time) * 1000000, r.stream_id, r.value, r.quality
FROM unnest(%s::int[], %s::timestamptz[]) AS scored (stream_id, time)
JOIN readings r ON r.stream_id = scored.stream_id AND r.time > scored.time
WHERE r.quality & %s = 0
ORDER BY r.time
LIMIT %s

-- name: note_learnt
-- Machines whose normal is known from now on.
UPDATE devices SET learnt_at = now() WHERE id = ANY(%s) AND learnt_at IS NULL

-- name: note_modes
-- What machines are doing, and since when.
UPDATE devices SET mode = said.mode, mode_since = said.since
FROM unnest(%s::int[], %s::text[], %s::timestamptz[]) AS said (id, mode, since)
WHERE devices.id = said.id AND (devices.mode, devices.mode_since) IS DISTINCT FROM (said.mode, said.since)

-- name: beat
-- A role says that it lives, and how it fares.
INSERT INTO heartbeats (role, at, detail) VALUES (%s, now(), %s)
ON CONFLICT (role) DO UPDATE SET at = excluded.at, detail = excluded.detail

-- name: last_beat
-- How a role fared when it said so last.
SELECT detail FROM heartbeats WHERE role = %s

-- name: hold_ingest
-- One ingest a database: two would score every reading twice. Held until the session ends.
SELECT pg_try_advisory_lock(hashtext('bellwether ingest'))
