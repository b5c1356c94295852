-- name: judged
-- Alarms whose ticket was closed with a verdict, the latest verdicts first; of an alarm that stands yet, as long as it
-- had lasted by then. Where the sensor was at fault the machine was not, and the visit was not in vain.
SELECT a.tenant, a.detector, a.device_id AS machine, a.stream_id AS stream, a.point, a.score AS peak,
       greatest(extract(epoch FROM least(coalesce(a.returned_at, t.closed_at), t.closed_at) - a.since), 0)::float8 AS lasted_s,
       t.verdict <> 'no_fault' AS fault, extract(epoch FROM %(now)s - t.closed_at)::float8 AS age_s
FROM tickets t
JOIN ticket_alarms ta ON ta.ticket_id = t.id
JOIN alarms a ON a.id = ta.alarm_id
WHERE t.verdict IS NOT NULL AND t.verdict <> 'sensor_fault' AND t.closed_at > %(now)s - INTERVAL '2 years'
  AND a.detector <> ALL (%(untaught)s)
ORDER BY t.closed_at DESC
LIMIT %(most)s

-- name: streams_of
-- The streams of one device.
SELECT s.id, s.device_id AS machine, s.tenant, s.device, s.point, s.quantity, s.unit
FROM streams s WHERE s.device = %(device)s

-- name: is_device
-- Whether the caller has a device of that name.
SELECT 1 FROM devices WHERE device = %(device)s
