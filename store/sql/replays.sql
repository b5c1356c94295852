-- name: due
-- Messages to be played again, in the order in which they were asked for; what has been forgotten meanwhile is empty.
SELECT p.reject, p.at, r.tenant, r.device, r.topic, r.payload, r.content_type, coalesce(r.moment, r.at) AS moment,
       coalesce(r.whole, false) AS whole, coalesce(r.alone AND r.outcome IS DISTINCT FROM 'stored', false) AS alone
FROM replays p LEFT JOIN rejects r ON r.id = p.reject AND r.at = p.at
ORDER BY p.asked_at, p.reject LIMIT %s

-- name: played
-- What became of them; a part that is refused for the same reason as before says so, whatever became of the others.
UPDATE rejects r SET played_at = now(), outcome = CASE
    WHEN o.still ? r.reason THEN 'rejected again: ' || r.reason
    WHEN o.taken IS NOT NULL THEN o.taken
    ELSE 'rejected again: ' || (o.still ->> 0)
END
FROM jsonb_to_recordset(%(rows)s) AS o (reject bigint, at timestamptz, taken text, still jsonb)
WHERE coalesce(r.message, r.id) = o.reject AND r.at = o.at AND r.at BETWEEN %(first)s AND %(last)s

-- name: done
-- They need not be played any more.
DELETE FROM replays WHERE reject = ANY(%s)

-- name: ask
-- Have messages played again: those of these numbers, or those that all of it applies to, the oldest first.
WITH wanted AS (
    SELECT coalesce(message, id) AS reject, min(at) AS at, tenant
    FROM tenant_rejects
    WHERE whole AND (outcome IS NULL OR outcome LIKE 'rejected again%%')
      AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
      AND (%(device)s::text IS NULL OR device = %(device)s)
      AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
      AND (%(start)s::timestamptz IS NULL OR at >= %(start)s)
      AND (%(end)s::timestamptz IS NULL OR at < %(end)s)
    GROUP BY 1, tenant ORDER BY 2, 1 LIMIT %(limit)s
), asked AS (
    INSERT INTO replays (reject, at, tenant, asked_by)
    SELECT reject, at, tenant, %(who)s FROM wanted ON CONFLICT DO NOTHING
)
SELECT count(*) FROM wanted

-- name: ask_of_all
-- The same for the owner of the database.
WITH wanted AS (
    SELECT coalesce(message, id) AS reject, min(at) AS at, tenant
    FROM rejects
    WHERE whole AND (outcome IS NULL OR outcome LIKE 'rejected again%%')
      AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
      AND (%(tenant)s::text IS NULL OR coalesce(tenant, '') = %(tenant)s)
      AND (%(device)s::text IS NULL OR device = %(device)s)
      AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
      AND (%(start)s::timestamptz IS NULL OR at >= %(start)s)
      AND (%(end)s::timestamptz IS NULL OR at < %(end)s)
    GROUP BY 1, tenant ORDER BY 2, 1 LIMIT %(limit)s
), asked AS (
    INSERT INTO replays (reject, at, tenant, asked_by)
    SELECT reject, at, tenant, %(who)s FROM wanted ON CONFLICT DO NOTHING
)
SELECT count(*) FROM wanted

-- name: waiting
-- How many messages wait to be played.
SELECT count(*) FROM replays
