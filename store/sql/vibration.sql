-- name: only_one
-- Whether this session is the one that watches; it stays so until it ends.
SELECT pg_try_advisory_lock(%s)

-- name: waiting
-- Blocks that wait for a verdict, the oldest first, with what their machine is built of. One that is gone waits no more.
SELECT q.waveform_id, w.tenant, w.device, d.id AS device_id, w.axis, w.time, w.rate_hz, w.shaft_rpm, w.unit, w.scale,
       w.value_offset, w.sample_type, w.packing, w.samples, d.machine AS facts
FROM (SELECT waveform_id, time FROM vibration_waiting ORDER BY time, waveform_id LIMIT %(limit)s) q
LEFT JOIN waveforms w ON w.id = q.waveform_id AND w.time = q.time
LEFT JOIN devices d ON d.tenant = w.tenant AND d.device = w.device
ORDER BY q.time, q.waveform_id

-- name: how_many_wait
-- How far behind verdicts are.
SELECT count(*) FROM vibration_waiting

-- name: pass_over
-- Of each axis only its newest blocks go on waiting.
DELETE FROM vibration_waiting WHERE waveform_id IN (
    SELECT waveform_id FROM (
        SELECT q.waveform_id, row_number() OVER (PARTITION BY w.tenant, w.device, w.axis ORDER BY q.time DESC) AS place
        FROM vibration_waiting q JOIN waveforms w ON w.id = q.waveform_id AND w.time = q.time
    ) ranked WHERE place > %(newest)s
)

-- name: keep
-- The verdict of a block; looked at again, it is as it was seen last.
INSERT INTO vibration_verdicts (waveform_id, device_id, tenant, axis, time, fault, reason, line, not_known, velocity_mm_s,
                                zone, limits_mm_s)
VALUES (%(waveform_id)s, %(device_id)s, %(tenant)s, %(axis)s, %(time)s, %(fault)s, %(reason)s, %(line)s, %(not_known)s,
        %(velocity_mm_s)s, %(zone)s, %(limits_mm_s)s)
ON CONFLICT (waveform_id) DO UPDATE
SET fault = excluded.fault, reason = excluded.reason, line = excluded.line, not_known = excluded.not_known,
    velocity_mm_s = excluded.velocity_mm_s, zone = excluded.zone, limits_mm_s = excluded.limits_mm_s

-- name: done
-- These wait no more.
DELETE FROM vibration_waiting WHERE waveform_id = ANY (%(ids)s)

-- name: latest
-- What the last blocks of an axis up to a time said, the newest first.
SELECT extract(epoch FROM time) * 1000000 AS time_us, fault, line, velocity_mm_s, limits_mm_s
FROM vibration_verdicts
WHERE device_id = %(device_id)s AND axis = %(axis)s AND time <= %(time)s AND (fault IS NOT NULL OR zone IS NOT NULL)
ORDER BY time DESC
LIMIT %(limit)s

-- name: streams
-- The streams of some points of a machine.
SELECT id, device_id, tenant, device, point, quantity, unit
FROM streams WHERE device_id = %(device_id)s AND point = ANY (%(points)s)

-- name: verdicts_of
-- A page of what the blocks of a device said, the newest first.
SELECT v.waveform_id, v.axis, v.time, v.fault, v.reason, v.line, v.not_known, v.velocity_mm_s, v.zone, v.limits_mm_s
FROM vibration_verdicts v JOIN devices d ON d.id = v.device_id
WHERE d.device = %(device)s
  AND (%(axis)s::text IS NULL OR v.axis = %(axis)s)
  AND v.time <= coalesce(%(upto)s::timestamptz, 'infinity')
  AND (%(upto)s::timestamptz IS NULL OR (v.time, v.waveform_id) < (%(upto)s, %(after_id)s::uuid))
ORDER BY v.time DESC, v.waveform_id DESC
LIMIT %(limit)s

-- name: named
-- How often the last blocks of each axis of a machine named each fault, or none.
SELECT axis, fault, count(*) FROM (
    SELECT axis, fault, row_number() OVER (PARTITION BY axis ORDER BY time DESC) AS place
    FROM vibration_verdicts
    WHERE device_id = %(device_id)s AND time <= %(until)s AND time >= %(since)s AND fault IS NOT NULL
) latest
WHERE place <= %(blocks)s
GROUP BY axis, fault
ORDER BY axis, fault

-- name: forget
-- Verdicts of blocks whose time is over.
DELETE FROM vibration_verdicts v USING retention r
WHERE r.class = 'waveforms' AND r.tenant = v.tenant AND v.time < now() - make_interval(days => r.keep_days)
