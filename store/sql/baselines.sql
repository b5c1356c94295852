-- name: set_baseline
-- A block becomes what later ones of its axis are compared with, in place of an earlier one.
INSERT INTO vibration_baselines (device_id, tenant, axis, waveform_id, time, rate_hz, shaft_rpm, unit, scale, value_offset,
                                 sample_type, packing, samples, set_by)
SELECT d.id, d.tenant, w.axis, w.id, w.time, w.rate_hz, w.shaft_rpm, w.unit, w.scale, w.value_offset, w.sample_type,
       w.packing, w.samples, %(set_by)s
FROM tenant_waveforms w JOIN devices d ON d.device = w.device
WHERE w.id = %(id)s AND w.time = %(time)s
ON CONFLICT (device_id, axis) DO UPDATE
SET waveform_id = excluded.waveform_id, time = excluded.time, rate_hz = excluded.rate_hz, shaft_rpm = excluded.shaft_rpm,
    unit = excluded.unit, scale = excluded.scale, value_offset = excluded.value_offset,
    sample_type = excluded.sample_type, packing = excluded.packing, samples = excluded.samples,
    set_by = excluded.set_by, set_at = now()

-- name: drop_baseline
-- Later blocks of an axis are compared with nothing.
DELETE FROM vibration_baselines b USING devices d
WHERE d.id = b.device_id AND d.device = %(device)s AND b.axis = %(axis)s

-- name: baselines_of
-- What blocks of a machine are compared with, by axis, or of one axis.
SELECT b.axis, b.waveform_id, b.time, b.rate_hz, b.shaft_rpm, b.unit, b.scale, b.value_offset, b.sample_type, b.packing,
       b.samples, b.set_by, b.set_at
FROM vibration_baselines b JOIN devices d ON d.id = b.device_id
WHERE d.device = %(device)s AND (%(axis)s::text IS NULL OR b.axis = %(axis)s)
ORDER BY b.axis

-- name: baseline
-- What blocks of one axis of a machine are compared with.
SELECT axis, waveform_id, time, rate_hz, shaft_rpm, unit, scale, value_offset, sample_type, packing, samples, set_by, set_at
FROM vibration_baselines
WHERE device_id = %(device_id)s AND axis = %(axis)s
