-- name: totals
-- What became of all messages that arrived since an hour.
SELECT coalesce(sum(messages), 0)::bigint AS messages, coalesce(sum(messages_stored), 0)::bigint AS stored,
       coalesce(sum(messages_duplicate), 0)::bigint AS duplicate, coalesce(sum(messages_rejected), 0)::bigint AS rejected,
       coalesce(sum(messages_dropped), 0)::bigint AS dropped, coalesce(sum(missing), 0)::bigint AS missing,
       coalesce(sum(found), 0)::bigint AS found
FROM ledger WHERE hour >= %(since)s

-- name: devices
-- The same by device, those first that have lost or were refused something; without a name: who is no device of ours.
SELECT device, sum(messages)::bigint AS messages, sum(messages_stored)::bigint AS stored,
       sum(messages_duplicate)::bigint AS duplicate, sum(messages_rejected)::bigint AS rejected,
       sum(messages_dropped)::bigint AS dropped, sum(missing)::bigint AS missing, sum(found)::bigint AS found,
       sum(contested)::bigint AS contested, sum(late)::bigint AS late
FROM ledger
WHERE hour >= %(since)s AND (%(device)s::text IS NULL OR strpos(device, %(device)s) > 0)
GROUP BY device
ORDER BY sum(missing) - sum(found) > 0 DESC, sum(messages_rejected) > 0 DESC, sum(contested) > 0 DESC, device
OFFSET %(had)s LIMIT %(limit)s
