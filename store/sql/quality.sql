-- name: due
-- Machines after an id with hours that are over and not counted yet, from where on: a day back at first.
SELECT d.id AS machine, d.tenant, coalesce(l.began, %(end)s::timestamptz - INTERVAL '1 day') AS began,
       CASE WHEN l.until IS NULL THEN %(end)s::timestamptz - INTERVAL '1 day'
            ELSE greatest(l.until, %(end)s::timestamptz - INTERVAL '7 days') END AS start
FROM devices d LEFT JOIN quality_looks l ON l.device_id = d.id
WHERE d.retired_at IS NULL AND d.id > %(after)s AND (l.until IS NULL OR l.until < %(end)s)
ORDER BY d.id
LIMIT %(limit)s

-- name: count_hours
-- What the hours of a machine's streams were like; counted again, they are as they were found last.
WITH mine AS (SELECT id FROM streams WHERE device_id = %(machine)s),
contested_of AS (
    SELECT c.stream_id, date_trunc('hour', c.time) AS hour, count(*) AS n
    FROM contested c JOIN mine ON mine.id = c.stream_id
    WHERE c.time >= %(start)s AND c.time < %(end)s
    GROUP BY 1, 2
)
INSERT INTO quality_hours (stream_id, hour, tenant, first_at, readings, late, mistimed, impossible, contested, distinct_values)
SELECT r.stream_id, r.hour, %(tenant)s, r.first_at, r.readings, r.late, r.mistimed, r.impossible, coalesce(c.n, 0),
       r.distinct_values
FROM (
    SELECT stream_id, date_trunc('hour', time) AS hour, min(time) AS first_at, count(*) AS readings,
           count(*) FILTER (WHERE quality & %(late)s <> 0) AS late,
           count(*) FILTER (WHERE quality & %(mistimed)s <> 0) AS mistimed,
           count(*) FILTER (WHERE quality & %(impossible)s <> 0) AS impossible,
           count(DISTINCT value) AS distinct_values
    FROM readings
    WHERE stream_id IN (SELECT id FROM mine) AND time >= %(start)s AND time < %(end)s
    GROUP BY 1, 2
) r LEFT JOIN contested_of c USING (stream_id, hour)
ON CONFLICT (stream_id, hour) DO UPDATE
SET first_at = excluded.first_at, readings = excluded.readings, late = excluded.late, mistimed = excluded.mistimed,
    impossible = excluded.impossible, contested = excluded.contested, distinct_values = excluded.distinct_values

-- name: note_look
-- How far a machine's hours are counted.
INSERT INTO quality_looks (device_id, tenant, began, until) VALUES (%(machine)s, %(tenant)s, %(began)s, %(end)s)
ON CONFLICT (device_id) DO UPDATE SET until = excluded.until

-- name: forget_hours
-- Hours of a machine that no grade rests on any more.
DELETE FROM quality_hours q USING streams s
WHERE s.id = q.stream_id AND s.device_id = %(machine)s AND q.hour < %(before)s

-- name: device_id
-- The number of a machine.
SELECT id FROM devices WHERE device = %(device)s

-- name: tallies
-- A machine's streams over the days that count, or since they began, and what stands against their sensors.
SELECT s.point, s.quantity, s.unit, l.until,
       greatest(0, extract(epoch FROM l.until - date_trunc('hour', since.began)) / 3600)::integer AS hours,
       greatest(0, extract(epoch FROM l.until - since.began) / 3600)::float8 AS owed_h,
       coalesce(q.heard, 0) AS heard, coalesce(u.usual, 0) AS usual, coalesce(q.kept_up, 0) AS kept_up,
       coalesce(q.readings, 0) AS readings, coalesce(q.late, 0) AS late, coalesce(q.mistimed, 0) AS mistimed,
       coalesce(q.impossible, 0) AS impossible, coalesce(q.contested, 0) AS contested,
       coalesce(u.values_an_hour, 0) AS values_an_hour, coalesce(a.message, '') AS alarm
FROM streams s
JOIN devices d ON d.id = s.device_id
LEFT JOIN quality_looks l ON l.device_id = d.id
LEFT JOIN LATERAL (
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY readings) AS usual,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY distinct_values) AS values_an_hour
    FROM quality_hours WHERE stream_id = s.id AND hour >= l.until - %(span)s::interval
) u ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS heard, min(coalesce(first_at, hour)) AS first, sum(least(readings, u.usual)) AS kept_up,
           sum(readings) AS readings, sum(late) AS late, sum(mistimed) AS mistimed, sum(impossible) AS impossible, sum(contested) AS contested
    FROM quality_hours WHERE stream_id = s.id AND hour >= l.until - %(span)s::interval
) q ON true
LEFT JOIN LATERAL (
    SELECT greatest(l.until - %(span)s::interval, l.began, least(s.created_at, q.first)) AS began
) since ON true
LEFT JOIN LATERAL (
    SELECT message FROM alarms
    WHERE stream_id = s.id AND active AND detector IN ('sensors', 'flatline')
    ORDER BY raised_at DESC LIMIT 1
) a ON true
WHERE d.device = %(device)s
ORDER BY s.point
