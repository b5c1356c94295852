-- name: streams
-- The points of a machine.
SELECT id, device_id AS machine, tenant, device, point, quantity, unit FROM streams WHERE device_id = %(machine)s ORDER BY id

-- name: pace
-- When each stream of a machine was heard last, and how many readings it had in the hours before.
SELECT latest.time, (SELECT count(*) FROM readings r
                     WHERE r.stream_id = s.id AND r.time > latest.time - %(hours)s::interval AND r.time <= latest.time)
FROM unnest(%(streams)s::int[]) AS s (id)
CROSS JOIN LATERAL (SELECT r.time FROM readings r WHERE r.stream_id = s.id AND r.time < %(until)s
                    ORDER BY r.time DESC LIMIT 1) latest

-- name: begins
-- The first reading of some streams from a time on.
SELECT min(first.time)
FROM unnest(%(streams)s::int[]) AS s (id)
CROSS JOIN LATERAL (SELECT r.time FROM readings r WHERE r.stream_id = s.id AND r.time >= %(start)s
                    ORDER BY r.time LIMIT 1) first

-- name: readings
-- What some streams said in [start, end), but for what the detectors leave out.
SELECT (extract(epoch FROM time) * 1000000)::bigint, stream_id, value
FROM readings
WHERE stream_id = ANY (%(streams)s) AND time >= %(start)s AND time < %(end)s AND quality & %(unscored)s = 0
ORDER BY stream_id, time

-- name: faults
-- What was found on a machine of late, the newest first: from when to when it was not well. It still is where a repair did
-- not hold.
SELECT since, closed_at, verdict FROM tickets
WHERE device_id = %(machine)s AND state = 'closed' AND verdict IN ('confirmed', 'other_fault', 'sensor_fault')
  AND closed_at > %(after)s
UNION ALL SELECT ill.since, now(), 'confirmed' FROM not_well_since(%(machine)s) AS ill (since) WHERE ill.since IS NOT NULL
ORDER BY since DESC
