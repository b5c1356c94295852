-- name: stream
-- The stream that a chart is of.
SELECT id, quantity, unit FROM streams WHERE device = %(device)s AND point = %(point)s

-- name: few
-- Whether a span holds more readings than asked for, counted no further than that.
SELECT count(*) FROM (
    SELECT 1 FROM tenant_readings
    WHERE stream_id = %(stream)s AND time >= %(start)s AND time < %(end)s
    LIMIT %(limit)s
) counted

-- name: raw
-- Every reading of a span.
SELECT time, 1::bigint AS n, value AS min, value AS max, value AS mean
FROM tenant_readings
WHERE stream_id = %(stream)s AND time >= %(start)s AND time < %(end)s
ORDER BY time
LIMIT %(limit)s

-- name: bucketed
-- A span in buckets, from the readings themselves: for buckets below a minute.
SELECT time_bucket(%(bucket)s::interval, time) AS time, count(*) AS n, min(value), max(value), avg(value) AS mean
FROM tenant_readings
WHERE stream_id = %(stream)s AND time >= %(start)s AND time < %(end)s
GROUP BY 1 ORDER BY 1

-- name: by_minutes
-- A span in buckets of whole minutes. The first and the last may reach a minute over its edges.
SELECT time_bucket(%(bucket)s::interval, bucket) AS time, sum(n)::bigint AS n, min(min), max(max),
       sum(mean * n) / sum(n)::float8 AS mean
FROM tenant_readings_1m
WHERE stream_id = %(stream)s AND bucket >= time_bucket('1 minute', %(start)s::timestamptz) AND bucket < %(end)s
GROUP BY 1 ORDER BY 1

-- name: by_hours
-- A span in buckets of whole hours. The first and the last may reach an hour over its edges.
SELECT time_bucket(%(bucket)s::interval, bucket) AS time, sum(n)::bigint AS n, min(min), max(max),
       sum(mean * n) / sum(n)::float8 AS mean
FROM tenant_readings_1h
WHERE stream_id = %(stream)s AND bucket >= time_bucket('1 hour', %(start)s::timestamptz) AND bucket < %(end)s
GROUP BY 1 ORDER BY 1

-- name: contested
-- Values that stand beside another one of the same time, oldest first; with the one that stands.
SELECT c.time, c.value, r.value AS standing
FROM tenant_contested c
LEFT JOIN LATERAL (SELECT value FROM tenant_readings WHERE stream_id = %(stream)s AND time = c.time) r ON true
WHERE c.stream_id = %(stream)s AND c.time >= %(start)s AND c.time < %(end)s
ORDER BY c.time, c.value
LIMIT %(limit)s
