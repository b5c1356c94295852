-- name: note
-- What one delivery adds.
INSERT INTO journal (at, tallies, counted, others) VALUES (%s, %s, %s, %s)

-- name: journal
-- What ledger and sequences do not know yet.
SELECT at, tallies, counted, others FROM journal ORDER BY id

-- name: empty_journal
-- It is in the ledger now.
DELETE FROM journal

-- name: add_hours
-- What became of the messages, by device and hour of arrival.
INSERT INTO ledger (tenant, device, hour, messages, messages_stored, messages_duplicate, messages_rejected, messages_dropped, stored, duplicates, late, contested, dropped, rejected, missing, found, played)
SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (tenant, device, hour) DO UPDATE SET
    messages = ledger.messages + excluded.messages,
    messages_stored = ledger.messages_stored + excluded.messages_stored,
    messages_duplicate = ledger.messages_duplicate + excluded.messages_duplicate,
    messages_rejected = ledger.messages_rejected + excluded.messages_rejected,
    messages_dropped = ledger.messages_dropped + excluded.messages_dropped,
    stored = ledger.stored + excluded.stored,
    duplicates = ledger.duplicates + excluded.duplicates,
    late = ledger.late + excluded.late,
    contested = ledger.contested + excluded.contested,
    dropped = ledger.dropped + excluded.dropped,
    rejected = ledger.rejected + excluded.rejected,
    missing = ledger.missing + excluded.missing,
    found = ledger.found + excluded.found,
    played = ledger.played + excluded.played

-- name: keep_runs
-- Which sequence numbers have come.
INSERT INTO sequences (device_id, boot, tenant, begins, below, above, lost, missing, found, restarts, heard_at)
SELECT * FROM unnest(%s::int[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::int8multirange[],
                     %s::int8multirange[], %s::bigint[], %s::bigint[], %s::int[], %s::timestamptz[])
ON CONFLICT (device_id, boot) DO UPDATE SET
    begins = excluded.begins, below = excluded.below, above = excluded.above, lost = excluded.lost,
    missing = excluded.missing, found = excluded.found, restarts = excluded.restarts, heard_at = excluded.heard_at

-- name: forget_runs
-- Boots so long ago that nothing of them will come.
DELETE FROM sequences USING unnest(%s::int[], %s::bigint[]) AS gone (device_id, boot)
WHERE sequences.device_id = gone.device_id AND sequences.boot = gone.boot

-- name: runs
-- All runs, as of the last time they were kept; spans as arrays of their bounds.
SELECT device_id, boot, tenant, begins, below, above, lost, missing, found, restarts, heard_at FROM sequences

-- name: one_moment
-- All that follows in this transaction is as of its beginning.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: names
-- Devices by their numbers.
SELECT id, tenant, device FROM devices

-- name: figures
-- What the ledger says of each device beside what the tables hold of it; with what retention took, without backfills.
WITH counted AS (
    SELECT tenant, device, sum(messages) AS messages,
           sum(messages_stored + messages_duplicate + messages_rejected + messages_dropped) AS told_apart,
           sum(stored) AS stored, sum(contested) AS contested, sum(rejected) AS rejected
    FROM ledger GROUP BY tenant, device
), of_stream AS (
    SELECT stream_id, sum(readings) AS readings, sum(contested) AS contested
    FROM (SELECT stream_id, count(*) AS readings, 0 AS contested FROM readings GROUP BY stream_id
          UNION ALL
          SELECT stream_id, 0, count(*) FROM contested GROUP BY stream_id) AS each
    GROUP BY stream_id
), kept AS (
    SELECT s.tenant, s.device, sum(o.readings) AS readings, sum(o.contested) AS contested, 0 AS rejects
    FROM of_stream o JOIN streams s ON s.id = o.stream_id GROUP BY 1, 2
    UNION ALL SELECT tenant, device, sum(readings), sum(contested), 0 FROM expired GROUP BY 1, 2
    UNION ALL SELECT tenant, device, -sum(stored), 0, 0 FROM backfills GROUP BY 1, 2
    UNION ALL SELECT coalesce(tenant, ''), coalesce(device, ''), 0, 0, count(*) FROM rejects GROUP BY 1, 2
    UNION ALL SELECT tenant, device, 0, 0, rejects FROM rejects_gone
), tables AS (
    SELECT tenant, device, sum(readings) AS readings, sum(contested) AS contested, sum(rejects) AS rejects
    FROM kept GROUP BY 1, 2
)
SELECT tenant, device, coalesce(messages, 0)::bigint, coalesce(told_apart, 0)::bigint, coalesce(stored, 0)::bigint,
       coalesce(t.readings, 0)::bigint, coalesce(c.contested, 0)::bigint, coalesce(t.contested, 0)::bigint,
       coalesce(rejected, 0)::bigint, coalesce(rejects, 0)::bigint
FROM counted c FULL JOIN tables t USING (tenant, device)
ORDER BY tenant, device

-- name: losing
-- Devices whose loss of messages is an alarm that has not returned.
SELECT device_id, tenant, device, rule, since, severity, coalesce(score, 1)::float8 FROM alarms WHERE detector = 'sequence' AND active
