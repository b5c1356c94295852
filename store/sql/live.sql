-- name: head
-- Where a reader who wants nothing of the past begins: everything before is finished.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint

-- name: after
-- What has been told since, in an order in which nothing can come in between later: every transaction before the oldest
-- that still runs is over.
SELECT xid::text::bigint AS xid, id, at, kind, body
FROM live_events
WHERE tenant = %(tenant)s AND (xid, id) > (%(xid)s::text::xid8, %(id)s)
  AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, id
LIMIT %(limit)s

-- name: is_kept
-- Whether everything since then is still there: the reader's own place, or one before it, has not been forgotten. A
-- place of the future is of another database.
SELECT EXISTS (
    SELECT FROM live_events WHERE tenant = %(tenant)s AND (xid, id) <= (%(xid)s::text::xid8, %(id)s)
) AND %(xid)s::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())

-- name: is_shown
-- Whether this reader may see an event: an owner sees those of their own machines.
SELECT EXISTS (SELECT FROM live_events WHERE tenant = %(tenant)s AND xid = %(xid)s::text::xid8 AND id = %(id)s)
