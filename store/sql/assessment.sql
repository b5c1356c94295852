-- name: machines
-- Machines in service after an id, with what is known of their normal, and whether they are well.
SELECT d.id, d.tenant, n.normal, n.until,
       EXISTS (SELECT FROM alarms a WHERE a.device_id = d.id AND a.active AND a.fault = 'condition')
       OR not_well_since(d.id) IS NOT NULL AS ill,
       (SELECT max(t.closed_at) FROM tickets t
        WHERE t.device_id = d.id AND t.state = 'closed' AND t.verdict IN ('confirmed', 'other_fault')) AS repaired_at
FROM devices d LEFT JOIN normals n ON n.device_id = d.id
WHERE d.retired_at IS NULL AND d.id > %(after)s
ORDER BY d.id
LIMIT %(limit)s

-- name: points
-- A machine's points, those that say most of its health first.
SELECT id, point, quantity, unit
FROM streams
WHERE device_id = %(machine)s
ORDER BY array_position(ARRAY['vibration_velocity', 'vibration_acceleration', 'temperature', 'pressure', 'flow', 'current',
                              'power', 'speed'], quantity) NULLS LAST, point
LIMIT %(limit)s

-- name: rows
-- Means of ten minutes of some streams.
SELECT time_bucket('10 minutes', bucket) AS at, stream_id, sum(mean * n) / sum(n) AS mean
FROM readings_1m
WHERE stream_id = ANY (%(streams)s) AND bucket >= %(start)s AND bucket < %(end)s
GROUP BY 1, 2
ORDER BY 1, 2

-- name: measured
-- What was measured of a machine since its last repair, the oldest first.
SELECT measured FROM (
    SELECT hour, measured FROM health
    WHERE device_id = %(machine)s AND hour < %(before)s AND hour >= coalesce(%(since)s::timestamptz, '-infinity')
    ORDER BY hour DESC LIMIT %(limit)s
) latest ORDER BY hour

-- name: note_health
-- An hour of a machine; looked at again, it is as it was seen last.
INSERT INTO health (device_id, hour, tenant, health, measured, worst_point)
VALUES (%(machine)s, %(hour)s, %(tenant)s, %(health)s, %(measured)s, %(worst_point)s)
ON CONFLICT (device_id, hour) DO UPDATE
SET health = excluded.health, measured = excluded.measured, worst_point = excluded.worst_point

-- name: keep_normal
-- What is normal for a machine, and how far its readings have been looked at.
INSERT INTO normals (device_id, tenant, normal, until) VALUES (%(machine)s, %(tenant)s, %(normal)s, %(until)s)
ON CONFLICT (device_id) DO UPDATE SET normal = excluded.normal, until = excluded.until

-- name: undiagnosed
-- Open tickets with alarms, whoever opened them, whose diagnosis is missing, older than an alarm of theirs, or old while
-- the fault may have grown.
SELECT t.id, t.tenant, t.device_id, d.kind, least(t.since, j.since) AS since,
       CASE WHEN NOT j.active THEN j.returned_at END AS over_at
FROM tickets t
JOIN devices d ON d.id = t.device_id
CROSS JOIN LATERAL (
    SELECT bool_or(a.active) AS active, min(a.since) AS since, max(a.returned_at) AS returned_at,
           max(ta.added_at) AS joined_at
    FROM ticket_alarms ta JOIN alarms a ON a.id = ta.alarm_id
    WHERE ta.ticket_id = t.id
) j
LEFT JOIN diagnoses g ON g.ticket_id = t.id
WHERE t.state NOT IN ('closed', 'cancelled') AND t.fault NOT IN ('communication', 'site')
  AND j.joined_at IS NOT NULL
  AND (g.made_at IS NULL OR g.made_at < j.joined_at
       OR (j.active AND now() - g.made_at > greatest(INTERVAL '30 seconds', (now() - t.opened_at) / 4)))
ORDER BY g.made_at NULLS FIRST, t.opened_at
LIMIT %(limit)s

-- name: pace
-- How often the streams of a machine reported before a fault, and when they were last heard of.
SELECT (SELECT avg(n) FROM readings_1h
        WHERE stream_id = ANY (%(streams)s) AND bucket >= %(since)s::timestamptz - INTERVAL '3 hours'
          AND bucket < %(since)s) AS per_hour,
       (SELECT max(time) FROM readings WHERE stream_id = ANY (%(streams)s) AND time >= %(since)s) AS latest

-- name: courses
-- Readings around a fault, thinned to what a diagnosis needs.
SELECT stream_id, extract(epoch FROM time_bucket(%(width)s::interval, time)) * 1000000 AS time_us, avg(value) AS value
FROM readings
WHERE stream_id = ANY (%(streams)s) AND time >= %(start)s AND time <= %(end)s
GROUP BY stream_id, time_bucket(%(width)s::interval, time)
ORDER BY 1, 2

-- name: long_courses
-- The same over days, from means of minutes.
SELECT stream_id, extract(epoch FROM time_bucket(%(width)s::interval, bucket)) * 1000000 AS time_us,
       sum(mean * n) / sum(n) AS value
FROM readings_1m
WHERE stream_id = ANY (%(streams)s) AND bucket >= %(start)s AND bucket <= %(end)s
GROUP BY stream_id, time_bucket(%(width)s::interval, bucket)
ORDER BY 1, 2

-- name: keep_diagnosis
-- The diagnosis of a ticket, in place of an earlier one.
INSERT INTO diagnoses (ticket_id, tenant, until, abstains, other, suspects)
VALUES (%(ticket)s, %(tenant)s, %(until)s, %(abstains)s, %(other)s, %(suspects)s)
ON CONFLICT (ticket_id) DO UPDATE
SET made_at = now(), until = excluded.until, abstains = excluded.abstains, other = excluded.other,
    suspects = excluded.suspects

-- name: diagnosis
-- What is probably wrong, by ticket.
SELECT ticket_id, made_at, until, abstains, other, suspects FROM diagnoses WHERE ticket_id = %(ticket)s

-- name: diagnosis_of_machine
-- The diagnosis of the newest open ticket of a machine that has one.
SELECT g.ticket_id, g.made_at, g.until, g.abstains, g.other, g.suspects
FROM tickets t JOIN diagnoses g ON g.ticket_id = t.id
WHERE t.device = %(device)s AND t.state NOT IN ('closed', 'cancelled') AND g.abstains = ''
ORDER BY t.opened_at DESC
LIMIT 1

-- name: device_known
-- Whether there is such a device, and whether its normal is known.
SELECT d.id, n.device_id IS NOT NULL FROM devices d LEFT JOIN normals n ON n.device_id = d.id WHERE d.device = %(device)s

-- name: latest_health
-- A machine's health as of its latest hour of running.
SELECT hour, health, measured, worst_point FROM health WHERE device_id = %(machine)s ORDER BY hour DESC LIMIT 1

-- name: health_between
-- A machine's health, hour by hour, or the lowest of each bucket of some hours.
SELECT time_bucket(%(bucket)s::interval, hour) AS hour, min(health) AS health, min(measured) AS measured,
       min(worst_point) AS worst_point
FROM health
WHERE device_id = %(machine)s AND hour >= %(start)s AND hour < %(end)s
GROUP BY 1
ORDER BY 1
