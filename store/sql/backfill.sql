-- name: begin
-- A file's place: where it was left, or its beginning.
INSERT INTO backfills (id, tenant, device, file) VALUES (%(id)s, %(tenant)s, %(device)s, %(file)s)
ON CONFLICT (id) DO UPDATE SET file = excluded.file
RETURNING rows, stored, duplicates, expired, finished_at IS NOT NULL

-- name: advance
-- So many rows further, in the transaction that stores them.
UPDATE backfills SET rows = rows + %(rows)s, stored = stored + %(stored)s, duplicates = duplicates + %(duplicates)s,
                     expired = expired + %(expired)s
WHERE id = %(id)s

-- name: finish
-- The file is done.
UPDATE backfills SET finished_at = now() WHERE id = %(id)s

-- name: count
-- Contested readings are counted where they are always counted; stored ones are known by the file that they came from.
INSERT INTO ledger (tenant, device, hour, contested)
VALUES (%(tenant)s, %(device)s, date_trunc('hour', now()), %(contested)s)
ON CONFLICT (tenant, device, hour) DO UPDATE SET contested = ledger.contested + excluded.contested

-- name: kept_from
-- From when on readings of these streams are kept; nothing where for good.
SELECT s.id, greatest(k.due_before, f.since)
FROM unnest(%s::int[]) AS s (id)
LEFT JOIN keeping k ON k.stream_id = s.id
LEFT JOIN raw_from f ON f.stream_id = s.id
WHERE k.due_before IS NOT NULL OR f.since IS NOT NULL

-- name: touched
-- The chunks that a span touches, and how many of them are compressed.
SELECT count(*), count(*) FILTER (WHERE is_compressed) FROM timescaledb_information.chunks
WHERE hypertable_name = 'readings' AND range_end > %(start)s AND range_start <= %(end)s

-- name: refresh_1m
-- Roll-ups of a span, now rather than in a few minutes.
CALL refresh_continuous_aggregate('rollup_1m', %(start)s::timestamptz, %(end)s::timestamptz)

-- name: refresh_1h
-- Likewise, by the hour.
CALL refresh_continuous_aggregate('rollup_1h', %(start)s::timestamptz, %(end)s::timestamptz)

-- name: may_refresh
-- Whether there is anything to refresh, and we may.
SELECT coalesce(bool_and(pg_has_role(view_owner::name, 'USAGE')), false)
FROM timescaledb_information.continuous_aggregates WHERE view_name IN ('rollup_1m', 'rollup_1h')

-- name: rolled_up
-- Readings of streams in a span of whole hours, and how many of them their roll-ups hold.
SELECT (SELECT count(*) FROM readings WHERE stream_id = ANY (%(streams)s) AND time >= %(start)s AND time < %(end)s),
       (SELECT coalesce(sum(n), 0)::bigint FROM readings_1h
        WHERE stream_id = ANY (%(streams)s) AND bucket >= %(start)s AND bucket < %(end)s)
