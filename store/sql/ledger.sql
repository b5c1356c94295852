-- name: note
-- What one delivery adds.
INSERT INTO journal (at, tallies, counted, others) VALUES (%s, %s, %s, %s)

-- name: journal
-- What ledger and sequences do not know yet.
SELECT at, tallies, counted, others FROM journal ORDER BY id

-- name: unsettled
-- How much that is.
SELECT count(*) FROM journal

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

-- name: verify
-- Where the ledger says something else than the tables; no row where it is right.
WITH counted AS (
    SELECT tenant, device, sum(messages) AS messages,
           sum(messages_stored + messages_duplicate + messages_rejected + messages_dropped) AS told_apart,
           sum(stored) AS stored, sum(contested) AS contested, sum(rejected) AS rejected
    FROM ledger GROUP BY tenant, device
), kept AS (
    SELECT s.tenant, s.device,
           sum((SELECT count(*) FROM readings r WHERE r.stream_id = s.id)) AS readings,
           sum((SELECT count(*) FROM contested c WHERE c.stream_id = s.id)) AS contested
    FROM streams s GROUP BY s.tenant, s.device
), refused AS (
    SELECT coalesce(tenant, '') AS tenant, coalesce(device, '') AS device, count(*) AS rejects FROM rejects GROUP BY 1, 2
), figures AS (
    SELECT tenant, device, what, ledger, tables
    FROM counted c
    LEFT JOIN kept k USING (tenant, device)
    LEFT JOIN refused r USING (tenant, device)
    CROSS JOIN LATERAL (VALUES
        ('messages: received, and stored + duplicate + rejected + dropped', c.messages, c.told_apart),
        ('readings stored', c.stored, coalesce(k.readings, 0)),
        ('readings contested', c.contested, coalesce(k.contested, 0)),
        ('rejects', c.rejected, coalesce(r.rejects, 0))
    ) AS figure (what, ledger, tables)
    UNION ALL
    SELECT tenant, device, 'readings stored', 0, k.readings FROM kept k
    WHERE k.readings > 0 AND NOT EXISTS (SELECT FROM counted c WHERE c.tenant = k.tenant AND c.device = k.device)
)
SELECT tenant, device, what, ledger::bigint, tables::bigint FROM figures WHERE ledger <> tables ORDER BY tenant, device, what

-- name: losing
-- Devices whose loss of messages is an alarm that has not returned.
SELECT device_id, tenant, device, rule, since, severity, coalesce(score, 1)::float8 FROM alarms WHERE detector = 'sequence' AND active
