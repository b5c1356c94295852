-- name: machine
-- Since when a machine is known, and whether the detectors know how its points move together.
SELECT id, learnt_at IS NOT NULL FROM devices WHERE device = %(device)s

-- name: points
-- Of points that are young: since when each is heard, how often lately, and how often its value changes. Readings older
-- than the stream came with a history: they have taught too.
SELECT s.point, least(s.created_at, older.at) AS since, lately.interval_s, coalesce(lately.changing, 0) AS changing
FROM streams s
LEFT JOIN LATERAL (
    SELECT r.time AS at FROM tenant_readings r
    WHERE r.stream_id = s.id AND r.time >= s.created_at - %(longest)s::interval AND r.time < s.created_at
    ORDER BY r.time LIMIT 1
) older ON true
LEFT JOIN LATERAL (
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM step)) AS interval_s,
           avg((value <> before)::int)::float8 AS changing
    FROM (
        SELECT time - lag(time) OVER w AS step, value, lag(value) OVER w AS before
        FROM (
            SELECT r.time, r.value FROM tenant_readings r
            WHERE r.stream_id = s.id AND r.time > %(now)s::timestamptz - INTERVAL '2 days' AND r.time <= %(now)s
            ORDER BY r.time DESC LIMIT 32
        ) last
        WINDOW w AS (ORDER BY time)
    ) steps
    WHERE step IS NOT NULL
) lately ON true
WHERE s.device_id = %(machine)s AND s.created_at > %(now)s::timestamptz - %(longest)s::interval
ORDER BY s.point
LIMIT %(limit)s
