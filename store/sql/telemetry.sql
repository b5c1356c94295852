-- name: streams_known
-- Every stream, for the directory that ingest keeps.
SELECT id, device_id, tenant, device, point, quantity, unit FROM streams ORDER BY id

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

-- name: make_stage
-- Where readings wait that may hold some already stored: COPY itself knows no ON CONFLICT.
CREATE TEMP TABLE IF NOT EXISTS stage (time timestamptz, stream_id int, value float8, quality smallint) ON COMMIT DELETE ROWS

-- name: copy_stage
-- Into the stage.
COPY stage (time, stream_id, value, quality) FROM STDIN (FORMAT binary)

-- name: unstage
-- The new ones among the staged; returns how many each stream got, and how many of those came late.
WITH stored AS (
    INSERT INTO readings (time, stream_id, value, quality)
    SELECT time, stream_id, value, quality FROM stage ORDER BY stream_id, time
    ON CONFLICT DO NOTHING
    RETURNING stream_id, quality
)
SELECT stream_id, count(*), count(*) FILTER (WHERE quality & 1 = 1) FROM stored GROUP BY stream_id

-- name: copy_rejects
-- What could not be stored, and why.
COPY rejects (at, tenant, device, topic, payload, bytes, reason) FROM STDIN (FORMAT binary)

-- name: count_messages
-- What became of the messages of a batch, by device and hour.
INSERT INTO ledger (tenant, device, hour, messages, stored, duplicates, late, rejected)
SELECT tenant, device, date_trunc('hour', %s::timestamptz), messages, stored, duplicates, late, rejected
FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS batch (tenant, device, messages, stored, duplicates, late, rejected)
ON CONFLICT (tenant, device, hour) DO UPDATE SET
    messages = ledger.messages + excluded.messages,
    stored = ledger.stored + excluded.stored,
    duplicates = ledger.duplicates + excluded.duplicates,
    late = ledger.late + excluded.late,
    rejected = ledger.rejected + excluded.rejected

-- name: readings_after
-- What was stored after the last scored reading of each stream, to be scored now: a crash falls between the two.
SELECT extract(epoch FROM r.time) * 1000000, r.stream_id, r.value, r.quality
FROM unnest(%s::int[], %s::timestamptz[]) AS scored (stream_id, time)
JOIN readings r ON r.stream_id = scored.stream_id AND r.time > scored.time
WHERE r.quality & %s = 0
ORDER BY r.time
LIMIT %s

-- name: note_status
-- What devices say of themselves; an empty text keeps what is known.
INSERT INTO devices (tenant, device, kind, model, site, firmware, online, online_at)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bool[], %s::timestamptz[])
ON CONFLICT (tenant, device) DO UPDATE SET
    kind = coalesce(nullif(excluded.kind, ''), devices.kind),
    model = coalesce(nullif(excluded.model, ''), devices.model),
    site = coalesce(nullif(excluded.site, ''), devices.site),
    firmware = coalesce(nullif(excluded.firmware, ''), devices.firmware),
    online = excluded.online,
    online_at = excluded.online_at

-- name: note_learnt
-- Machines whose normal is known from now on.
UPDATE devices SET learnt_at = now() WHERE id = ANY(%s) AND learnt_at IS NULL

-- name: beat
-- A role says that it lives, and how it fares.
INSERT INTO heartbeats (role, at, detail) VALUES (%s, now(), %s)
ON CONFLICT (role) DO UPDATE SET at = excluded.at, detail = excluded.detail

-- name: rules_in_force
-- The newest version of each rule of every tenant.
SELECT DISTINCT ON (tenant, id) tenant, rule FROM rules ORDER BY tenant, id, version DESC

-- name: hold_ingest
-- One ingest a database: two would score every reading twice. Held until the session ends.
SELECT pg_try_advisory_lock(hashtext('bellwether ingest'))
