-- name: only_one
-- Whether this session is the one that compares; it stays so until it ends.
SELECT pg_try_advisory_lock(%s)

-- name: cohorts
-- Machines in service of one tenant and model, in groups of some, the last one larger: five at least.
WITH ranked AS (
    SELECT tenant, kind, model, id, row_number() OVER same AS place, count(*) OVER (PARTITION BY tenant, kind, model) AS all_of_them
    FROM devices
    WHERE retired_at IS NULL AND model <> ''
    WINDOW same AS (PARTITION BY tenant, kind, model ORDER BY id)
)
SELECT tenant, kind, model, array_agg(id ORDER BY id) AS machines
FROM ranked
WHERE all_of_them >= %(fewest)s
GROUP BY tenant, kind, model, least((place - 1) / %(most)s, greatest(all_of_them / %(most)s, 1) - 1)
ORDER BY tenant, kind, model, min(id)

-- name: streams
-- The streams of some machines.
SELECT id, device_id, tenant, device, point, quantity, unit FROM streams WHERE device_id = ANY (%(machines)s) ORDER BY id

-- name: compared_until
-- Up to when some streams have been compared.
SELECT max(at) + %(width)s::interval FROM peer_levels WHERE stream_id = ANY (%(streams)s)

-- name: levels
-- Means of some streams over the hours in which their machines ran: those that have a health.
SELECT r.stream_id, time_bucket(%(width)s::interval, r.bucket) AS at, sum(r.mean * r.n) / sum(r.n) AS level
FROM (SELECT stream_id, bucket, mean, n FROM readings_1h
      WHERE stream_id = ANY (%(streams)s) AND bucket >= %(start)s AND bucket < %(end)s) r
JOIN streams s ON s.id = r.stream_id
JOIN health h ON h.device_id = s.device_id AND h.hour = r.bucket
GROUP BY 1, 2
ORDER BY 1, 2

-- name: history
-- The means of some streams since a time, and whether they stood out.
SELECT stream_id, at, level, coalesce(abs(moved) >= allowed, false) FROM peer_levels
WHERE stream_id = ANY (%(streams)s) AND at >= %(start)s

-- name: keep
-- A stream beside its peers; compared again, it is as it was seen last.
INSERT INTO peer_levels (stream_id, at, tenant, level, peers, moved, allowed)
VALUES (%(stream)s, %(at)s, %(tenant)s, %(level)s, %(peers)s, %(moved)s, %(allowed)s)
ON CONFLICT (stream_id, at) DO UPDATE
SET level = excluded.level, peers = excluded.peers, moved = excluded.moved, allowed = excluded.allowed

-- name: forget
-- What is over.
DELETE FROM peer_levels WHERE at < %(before)s

-- name: device_known
-- Whether there is such a device.
SELECT FROM devices WHERE device = %(device)s

-- name: of_machine
-- Each point of a machine beside its peers, as of the last six hours in which it was compared; the farthest gone first.
SELECT s.point, s.unit, p.at, p.level, p.peers, p.moved, p.allowed
FROM (SELECT id, point, unit FROM streams WHERE device = %(device)s) s
CROSS JOIN LATERAL (SELECT * FROM peer_levels WHERE stream_id = s.id ORDER BY at DESC LIMIT 1) p
ORDER BY abs(p.moved) / nullif(p.allowed, 0) DESC NULLS LAST, s.point
