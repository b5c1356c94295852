-- name: machine
-- A machine as it is asked how long it has: its kind, since when it lives, since when it is well, which sensors are distrusted.
SELECT d.tenant, d.kind, least(d.first_seen_at, (SELECT min(h.hour) FROM health h WHERE h.device_id = d.id)) AS began_at,
       (SELECT max(t.closed_at) FROM tickets t
        WHERE t.device_id = d.id AND t.state = 'closed' AND t.verdict IN ('confirmed', 'other_fault')
          AND t.closed_at < %(end)s) AS repaired_at,
       ARRAY(SELECT DISTINCT a.point FROM alarms a
             WHERE a.device_id = d.id AND a.active AND a.fault = 'instrument') AS distrusted
FROM devices d
WHERE d.id = %(machine)s AND EXISTS (SELECT FROM normals n WHERE n.device_id = d.id)

-- name: course
-- A machine's health by the hour, since a time.
SELECT extract(epoch FROM hour) / 86400, measured, worst_point
FROM health
WHERE device_id = %(machine)s AND hour >= %(start)s AND hour < %(end)s
ORDER BY hour

-- name: lives
-- Machines of a kind: since when each lives, and until when.
SELECT d.id, least(d.first_seen_at, (SELECT min(h.hour) FROM health h WHERE h.device_id = d.id)) AS began_at,
       least(d.retired_at, %(end)s) AS over_at
FROM devices d
WHERE d.tenant = %(tenant)s AND d.kind = %(kind)s

-- name: failures
-- Faults of machines of a kind that were confirmed, as they came: the lowest health of each before it was repaired, what
-- pulled it down then, and the days from the last hour in full health until then. What a plan found had not failed yet.
SELECT t.device_id, t.opened_at, t.closed_at, w.health, w.worst_point,
       extract(epoch FROM w.hour - coalesce(
           (SELECT max(h.hour) FROM health h WHERE h.device_id = t.device_id AND h.hour < w.hour AND h.health >= %(well)s),
           (SELECT min(h.hour) FROM health h WHERE h.device_id = t.device_id))) / 86400 AS days
FROM tickets t
JOIN devices d ON d.id = t.device_id
LEFT JOIN LATERAL (
    SELECT h.hour, h.health, h.worst_point FROM health h
    WHERE h.device_id = t.device_id AND h.hour >= t.since - INTERVAL '1 day' AND h.hour <= t.closed_at
    ORDER BY h.health, h.hour DESC LIMIT 1
) w ON true
WHERE d.tenant = %(tenant)s AND d.kind = %(kind)s AND t.state = 'closed' AND t.verdict IN ('confirmed', 'other_fault')
  AND t.closed_at < %(end)s AND t.source <> 'plan'
ORDER BY t.opened_at

-- name: keep
-- What is said of a machine in an hour; said again, it is as it was said last.
INSERT INTO prognoses (device_id, hour, tenant, abstains, days, p_fail_30, by_wear, by_age, worst_point, fails_at, failures,
                       band)
VALUES (%(machine)s, %(hour)s, %(tenant)s, %(abstains)s, %(days)s, %(p_fail_30)s, %(by_wear)s, %(by_age)s,
        %(worst_point)s, %(fails_at)s, %(failures)s, %(band)s)
ON CONFLICT (device_id, hour) DO UPDATE
SET abstains = excluded.abstains, days = excluded.days, p_fail_30 = excluded.p_fail_30, by_wear = excluded.by_wear,
    by_age = excluded.by_age, worst_point = excluded.worst_point, fails_at = excluded.fails_at,
    failures = excluded.failures, band = excluded.band

-- name: latest
-- What was said of a machine last, at or before a time.
SELECT hour, abstains, days, p_fail_30, by_wear, by_age, worst_point, fails_at, failures, band
FROM prognoses
WHERE device_id = %(machine)s AND hour <= %(at)s
ORDER BY hour DESC LIMIT 1

-- name: between
-- How what was said of a machine changed: hour by hour, or the last of each bucket of some hours.
SELECT DISTINCT ON (time_bucket(%(bucket)s::interval, hour)) hour, days[3] AS days, p_fail_30
FROM prognoses
WHERE device_id = %(machine)s AND hour >= %(start)s AND hour < %(end)s
ORDER BY time_bucket(%(bucket)s::interval, hour), hour DESC

-- name: device_id
-- A device by its name.
SELECT id FROM devices WHERE device = %(device)s

-- name: before_ticket
-- What had been said of a ticket's machine when the ticket was opened.
SELECT p.p_fail_30 FROM tickets t JOIN prognoses p ON p.device_id = t.device_id AND p.hour <= t.opened_at
WHERE t.id = %(ticket)s
ORDER BY p.hour DESC LIMIT 1
