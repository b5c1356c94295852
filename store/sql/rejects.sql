-- name: numbers
-- So many numbers for rows to come.
SELECT nextval('rejects_id') FROM generate_series(1, %s)

-- name: copy
-- What could not be stored, and why.
COPY rejects (id, at, tenant, device, topic, payload, bytes, reason, message, content_type, moment, whole, alone)
FROM STDIN (FORMAT binary)

-- name: rejected_before
-- Which of these have been rejected within a day: messages that come again are not rejected twice.
SELECT sent.ordinal FROM unnest(%s::text[], %s::int[], %s::bytea[], %s::int[]) AS sent (topic, bytes, head, ordinal)
WHERE EXISTS (
    SELECT FROM rejects r
    WHERE r.at > now() - INTERVAL '1 day' AND r.topic = sent.topic AND r.bytes = sent.bytes
      AND substr(r.payload, 1, %s) = sent.head
)

-- name: page
-- A page of what could not be taken, newest first.
SELECT id, at, tenant, device, topic, payload, bytes, reason, content_type, whole, played_at, outcome
FROM tenant_rejects
WHERE (%(id)s::bigint IS NULL OR id = %(id)s)
  AND (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
  AND (%(start)s::timestamptz IS NULL OR at >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR at < %(end)s)
  AND (%(after_at)s::timestamptz IS NULL OR (at, id) < (%(after_at)s, %(after_id)s))
ORDER BY at DESC, id DESC
LIMIT %(limit)s

-- name: page_of_all
-- The same for the owner of the database: of all tenants, and of nobody we know.
SELECT id, at, tenant, device, topic, payload, bytes, reason, content_type, whole, played_at, outcome
FROM rejects
WHERE (%(id)s::bigint IS NULL OR id = %(id)s)
  AND (%(tenant)s::text IS NULL OR coalesce(tenant, '') = %(tenant)s)
  AND (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
  AND (%(start)s::timestamptz IS NULL OR at >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR at < %(end)s)
ORDER BY at DESC, id DESC
LIMIT %(limit)s

-- name: groups
-- Which reasons there have been since a moment, of how many devices, the most frequent first.
SELECT reason, count(*) AS rejects, count(DISTINCT device) AS devices, max(at) AS latest_at,
       count(*) FILTER (WHERE whole AND (outcome IS NULL OR outcome LIKE 'rejected again%%')) AS playable,
       count(*) FILTER (WHERE outcome IN ('stored', 'duplicate')) AS played
FROM tenant_rejects
WHERE at >= %(start)s
GROUP BY reason ORDER BY rejects DESC, reason LIMIT %(limit)s

-- name: forget
-- Forget what is older than so many days, or than its tenant keeps it; returns how much.
SELECT forget_rejects(%s)
