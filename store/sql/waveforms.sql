-- name: waveforms_at
-- The blocks stored already that begin when these do, by the same device and axis.
SELECT w.id, w.tenant, w.device, w.axis, w.time
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS wanted (tenant, device, axis, time)
JOIN waveforms w ON w.tenant = wanted.tenant AND w.device = wanted.device AND w.axis = wanted.axis AND w.time = wanted.time

-- name: copy_waveforms
-- New blocks, packed.
COPY waveforms (id, time, tenant, device, axis, rate_hz, shaft_rpm, unit, scale, value_offset, sample_type, sample_count,
                quality, contested, received_at, packing, samples) FROM STDIN (FORMAT binary)

-- name: waveforms_of
-- A page of a device's blocks, the newest first, without their samples.
SELECT id, device, axis, time, rate_hz, shaft_rpm, unit, scale, value_offset, sample_type, sample_count, quality, contested, received_at
FROM tenant_waveforms
WHERE device = %(device)s
  AND (%(axis)s::text IS NULL OR axis = %(axis)s)
  AND time >= coalesce(%(start)s::timestamptz, '-infinity') AND time < coalesce(%(end)s::timestamptz, 'infinity')
  AND time <= coalesce(%(upto)s::timestamptz, 'infinity')
  AND (%(upto)s::timestamptz IS NULL OR (time, id) < (%(upto)s, %(after_id)s::uuid))
ORDER BY time DESC, id DESC
LIMIT %(limit)s

-- name: waveform
-- One block without its samples; the time that is in its id tells the chunk.
SELECT id, device, axis, time, rate_hz, shaft_rpm, unit, scale, value_offset, sample_type, sample_count, quality, contested, received_at
FROM tenant_waveforms
WHERE id = %(id)s AND time >= %(start)s AND time < %(end)s

-- name: whole_waveform
-- One block with its samples, packed.
SELECT device, axis, time, rate_hz, shaft_rpm, unit, scale, value_offset, sample_type, packing, samples
FROM tenant_waveforms
WHERE id = %(id)s AND time >= %(start)s AND time < %(end)s

-- name: device_known
-- Whether there is such a device.
SELECT 1 FROM devices WHERE device = %(device)s
