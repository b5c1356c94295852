-- name: streams
-- A page of streams, each with its latest reading.
WITH page AS (
    SELECT id, device, point, quantity, unit FROM streams
    WHERE (%(device)s::text IS NULL OR device = %(device)s)
      AND (%(after_device)s::text IS NULL OR (device, point) > (%(after_device)s, %(after_point)s))
    ORDER BY device, point
    LIMIT %(limit)s
)
SELECT page.*, latest.time AS latest_at, latest.value AS latest_value
FROM page
LEFT JOIN latest_readings((SELECT array_agg(id) FROM page), %(heard_since)s) latest ON latest.stream = page.id
ORDER BY page.device, page.point

-- name: devices
-- A page of devices at a glance: what stands against each and when it was last heard.
WITH page AS (
    SELECT id, device, kind, model, site, firmware, online, online_at, first_seen_at, retired_at, replaced_by FROM devices
    WHERE (%(after)s::text IS NULL OR device > %(after)s)
      AND (%(device)s::text IS NULL OR device = %(device)s)
      AND (%(site)s::text IS NULL OR site = %(site)s)
      AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    ORDER BY device
    LIMIT %(limit)s
), points AS (
    SELECT id, device_id FROM streams WHERE device_id IN (SELECT id FROM page)
), heard AS (
    SELECT points.device_id, max(latest.time) AS at, count(*) AS streams
    FROM points
    LEFT JOIN latest_readings((SELECT array_agg(id) FROM points), %(heard_since)s) latest ON latest.stream = points.id
    GROUP BY points.device_id
)
SELECT d.device, d.kind, d.model, d.site, d.firmware, d.online, d.online_at, d.first_seen_at, d.retired_at, d.replaced_by,
       (SELECT device FROM devices WHERE replaced_by = d.device ORDER BY retired_at DESC LIMIT 1) AS replaces,
       coalesce(a.active, 0) AS active_alarms,
       coalesce(a.unacknowledged, 0) AS unacknowledged_alarms,
       a.worst AS worst_severity,
       coalesce(t.open, 0) AS open_tickets,
       t.worst AS worst_priority,
       heard.at AS heard_at,
       coalesce(heard.streams, 0) AS streams
FROM page d
LEFT JOIN heard ON heard.device_id = d.id
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE active) AS active,
           count(*) FILTER (WHERE state IN ('unacknowledged', 'returned_unacknowledged', 'latched_unacknowledged')) AS unacknowledged,
           (array_agg(severity ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], severity))
                FILTER (WHERE active))[1] AS worst
    FROM alarms
    WHERE device_id = d.id AND state <> 'normal' AND state NOT IN ('shelved', 'suppressed', 'out_of_service')
) a ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS open,
           (array_agg(priority ORDER BY array_position(ARRAY['urgent', 'high', 'medium', 'low'], priority)))[1] AS worst
    FROM tickets WHERE device_id = d.id AND state NOT IN ('closed', 'cancelled')
) t ON true
ORDER BY d.device

-- name: describe_device
-- What its owner says of a device; NULL leaves what was said before.
UPDATE devices
SET kind = coalesce(%(kind)s, kind), model = coalesce(%(model)s, model), site = coalesce(%(site)s, site)
WHERE device = %(device)s
RETURNING device

-- name: ledger
-- A page of what became of the messages, newest hour first.
SELECT device, hour, messages, messages_stored, messages_duplicate, messages_rejected, messages_dropped, stored,
       duplicates, late, contested, dropped, rejected, missing, found, played
FROM ledger
WHERE (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(start)s::timestamptz IS NULL OR hour >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR hour < %(end)s)
  AND (%(after_hour)s::timestamptz IS NULL OR (hour, device) < (%(after_hour)s, %(after_device)s))
ORDER BY hour DESC, device DESC
LIMIT %(limit)s

-- name: sequences
-- Which sequence numbers of a device have come, by boot; what lies between the spans that wait is missing.
SELECT d.device, nullif(s.boot, -1) AS boot, s.begins, s.below,
       ARRAY(SELECT ARRAY[lower(r), upper(r)] FROM unnest(s.above) AS r) AS waiting,
       ARRAY(SELECT ARRAY[lower(r), upper(r)] FROM unnest(s.lost) AS r) AS lost,
       s.missing, s.found, s.restarts, s.heard_at
FROM sequences s JOIN devices d ON d.id = s.device_id
WHERE d.device = %s
ORDER BY s.heard_at DESC

-- name: heartbeats
-- When each role of ours was last seen.
SELECT role, extract(epoch FROM now() - at)::float8 AS age_s FROM heartbeats ORDER BY role
