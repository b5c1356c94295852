-- name: settings
-- How long the tenant keeps what.
SELECT class, keep_days, changed_at, changed_by FROM retention ORDER BY class

-- name: keep
-- These classes are kept for so long from now on; one that stays as it was keeps who said so.
INSERT INTO retention (tenant, class, keep_days, changed_by)
SELECT %(tenant)s, wanted.class, wanted.days, %(who)s FROM unnest(%(classes)s::text[], %(days)s::int[]) AS wanted (class, days)
ON CONFLICT (tenant, class) DO UPDATE SET
    keep_days = excluded.keep_days, changed_at = now(), changed_by = excluded.changed_by
    WHERE retention.keep_days <> excluded.keep_days

-- name: keep_for_good
-- The others are kept for good again.
DELETE FROM retention WHERE class <> ALL(%(classes)s::text[])

-- name: expire_some
-- One bounded step: what it did, or no row where nothing is due.
SELECT streams, readings, dropped FROM expire_some(%s)

-- name: expire_waveforms
-- Some of the blocks of vibration whose time is over.
SELECT expire_waveforms(%s)

-- name: expire_contested
-- Some of the values that stood beside readings which are removed.
SELECT expire_contested(%s)

-- name: expire_clock_pieces
-- Some of what mended the stamps of readings and blocks which are removed.
SELECT expire_clock_pieces(%s)

-- name: cut_audit
-- Some of the acts whose time is over.
SELECT cut_audit(%s)

-- name: expire_trials
-- Some of the trials that ended so long ago that their tenant keeps them no longer, but what a rule was accepted by.
DELETE FROM rule_trials WHERE id IN (
    SELECT t.id
    FROM rule_trials t
    LEFT JOIN retention r ON r.tenant = t.tenant AND r.class = 'trials'
    WHERE t.done_at < now() - make_interval(days => coalesce(r.keep_days, %(otherwise)s))
      AND NOT EXISTS (SELECT FROM rules u WHERE u.trial = t.id)
    LIMIT %(most)s
)

-- name: expire_papers
-- Some of the documents of customers who were erased: what stood in them goes.
SELECT expire_papers(%s, %s)

-- name: machines
-- Machines after an id.
SELECT id FROM devices WHERE id > %(after)s ORDER BY id LIMIT %(limit)s

-- name: expire_prognoses
-- What was said of some machines at hours that are over.
DELETE FROM prognoses p USING devices d LEFT JOIN retention r ON r.tenant = d.tenant AND r.class = 'assessments'
WHERE d.id = ANY(%(machines)s) AND p.device_id = d.id
  AND p.hour < now() - make_interval(days => coalesce(r.keep_days, %(otherwise)s))

-- name: thin_health
-- Hours of some machines that are over, but for the lowest of each day: from it the lives of others are learnt.
WITH over AS (
    SELECT h.device_id, h.hour, row_number() OVER (PARTITION BY h.device_id, date_trunc('day', h.hour, 'UTC')
                                                   ORDER BY h.health, h.hour DESC) AS place
    FROM devices d LEFT JOIN retention r ON r.tenant = d.tenant AND r.class = 'assessments'
    JOIN health h ON h.device_id = d.id
    WHERE d.id = ANY(%(machines)s)
      AND h.hour < date_trunc('day', now() - make_interval(days => coalesce(r.keep_days, %(otherwise)s)), 'UTC')
)
DELETE FROM health h USING over o WHERE h.device_id = o.device_id AND h.hour = o.hour AND o.place > 1

-- name: expire_afresh
-- Look at everything once more: for what came after its time was over.
SELECT expire_afresh()

-- name: measured
-- What the width of a chunk depends on: readings stored in the last whole day and hours with any, memory, the width now,
-- the shortest time that anything is kept.
SELECT (SELECT coalesce(sum(stored), 0)::bigint FROM ledger
        WHERE hour >= date_trunc('hour', now()) - INTERVAL '24 hours' AND hour < date_trunc('hour', now())),
       (SELECT count(DISTINCT hour) FROM ledger
        WHERE hour >= date_trunc('hour', now()) - INTERVAL '24 hours' AND hour < date_trunc('hour', now())),
       greatest(pg_size_bytes(current_setting('shared_buffers')), pg_size_bytes(current_setting('effective_cache_size')) / 3),
       (SELECT extract(epoch FROM time_interval)::bigint / 3600 FROM timescaledb_information.dimensions
        WHERE hypertable_name = 'readings'),
       (SELECT min(keep_days) FROM retention WHERE class NOT IN ('rejects', 'assessments', 'files', 'webhooks'))

-- name: widen_chunks
-- The chunks to come are so wide.
SELECT widen_chunks(%s)

-- name: compressed_after
-- How old a chunk is when it is compressed, in days; no row where nothing is.
SELECT extract(epoch FROM (config ->> 'compress_after')::interval)::float8 / 86400
FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression' AND hypertable_name = 'readings'

-- name: compress_no_more
-- Take the policy away, to set another.
SELECT remove_compression_policy('readings', if_exists => true)

-- name: compress_after
-- Chunks are compressed when they are so old.
SELECT add_compression_policy('readings', make_interval(days => %s))
