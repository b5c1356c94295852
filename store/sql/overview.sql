-- name: glances
-- Every machine with the worst alarm and the most urgent ticket that stand against it, the point that leads, and when
-- it was last heard. The point that leads is the alarm's, else the ticket's, else the one that says most of a machine's
-- health: vibration before temperature before the rest.
SELECT d.id, d.device, d.kind, d.model, d.site, d.firmware, d.online, d.online_at, d.first_seen_at, d.learnt_at,
       coalesce(a.alarms, 0) AS alarms, a.severity, a.detector, a.message,
       t.id AS ticket_id, t.title AS ticket_title, t.state AS ticket_state, t.priority,
       lead.id AS stream_id, lead.point, lead.unit, heard.at AS heard_at, d.gateway, d.offline_reason, d.clock_policy,
       coalesce(p.presence, 'unknown') AS presence, p.presence_at, p.expected_s, p.clock_offset_s, p.clock_drift_ppm,
       d.mode, d.mode_since
FROM devices d
LEFT JOIN device_presence p ON p.device_id = d.id
LEFT JOIN LATERAL (
    SELECT count(*) OVER () AS alarms, severity, detector, message, point
    FROM alarms
    WHERE device_id = d.id AND state NOT IN ('normal', 'shelved', 'suppressed', 'out_of_service')
    ORDER BY active DESC, array_position(ARRAY['critical', 'high', 'medium', 'low'], severity), raised_at, alarms.id
    LIMIT 1
) a ON true
LEFT JOIN LATERAL (
    SELECT id, title, state, priority, leading_point
    FROM tickets
    WHERE device_id = d.id AND state NOT IN ('closed', 'cancelled')
    ORDER BY array_position(ARRAY['urgent', 'high', 'medium', 'low'], priority), opened_at
    LIMIT 1
) t ON true
LEFT JOIN LATERAL (
    SELECT s.id, s.point, s.unit
    FROM streams s
    WHERE s.device_id = d.id
    ORDER BY s.point = a.point DESC NULLS LAST, s.point = t.leading_point DESC NULLS LAST,
             array_position(ARRAY['vibration_velocity', 'vibration_acceleration', 'temperature', 'pressure', 'current'],
                            s.quantity) NULLS LAST, s.point
    LIMIT 1
) lead ON true
LEFT JOIN (
    SELECT s.device_id, max(latest.time) AS at
    FROM latest_readings((SELECT array_agg(id) FROM streams WHERE %(device)s::text IS NULL OR device = %(device)s),
                         %(heard_since)s) latest
    JOIN streams s ON s.id = latest.stream
    GROUP BY s.device_id
) heard ON heard.device_id = d.id
WHERE %(device)s::text IS NULL OR d.device = %(device)s
ORDER BY d.site, d.device

-- name: samples
-- One reading at the end of each step of a span, for small lines: an index probe each, whatever the sampling rate.
SELECT stream, step, value FROM sampled_readings(%(streams)s::int[], %(start)s, %(width)s, %(steps)s)

-- name: points
-- A machine's points with their latest readings.
SELECT s.id, s.point, s.quantity, s.unit, latest.time AS latest_at, latest.value AS latest_value
FROM streams s
LEFT JOIN latest_readings((SELECT array_agg(id) FROM streams WHERE device = %(device)s), %(heard_since)s) latest
       ON latest.stream = s.id
WHERE s.device = %(device)s
ORDER BY array_position(ARRAY['vibration_velocity', 'vibration_acceleration', 'temperature', 'pressure', 'flow', 'current',
                              'power', 'speed'], s.quantity) NULLS LAST, s.point
LIMIT %(limit)s

-- name: counts
-- What stands in the head of each page.
SELECT (SELECT count(*) FROM alarms WHERE state NOT IN ('normal', 'shelved', 'suppressed', 'out_of_service'))
           AS alarms,
       (SELECT count(*) FROM alarms
        WHERE state IN ('unacknowledged', 'returned_unacknowledged', 'latched_unacknowledged')) AS unacknowledged,
       (SELECT count(*) FROM tickets WHERE state NOT IN ('closed', 'cancelled')) AS tickets

-- name: marks
-- Alarms that touch a span of one machine, to be drawn on its charts.
SELECT id, point, severity, state, active, since, raised_at, returned_at, message
FROM alarms
WHERE device = %(device)s AND raised_at < %(end)s AND (returned_at IS NULL OR returned_at >= %(start)s)
ORDER BY raised_at DESC
LIMIT %(limit)s

-- name: sites
-- The sites that machines stand at, for the filters.
SELECT DISTINCT site FROM devices WHERE site <> '' ORDER BY site

-- name: alarm_lines
-- A page of alarms with where they are. Open ones come worst first, those that nobody has acknowledged before the rest;
-- history comes newest first.
SELECT a.id, a.device, d.site, a.point, a.severity, a.state, a.active, a.since, a.raised_at, a.returned_at, a.acked_at,
       a.acked_by, a.shelved_until, a.shelved_by, a.shelve_reason, a.quiet_because, a.rises, a.held_s, a.message,
       (a.active AND a.state NOT IN ('normal', 'shelved', 'suppressed', 'out_of_service')
        AND a.changed_at <= now() - make_interval(hours => %(stale_h)s)) AS stale,
       EXISTS (SELECT FROM escalations e
               WHERE e.alarm_id = a.id AND e.flood_id IS NOT NULL AND e.ended_because = 'told with its flood') AS is_of_flood,
       (SELECT ta.ticket_id FROM ticket_alarms ta WHERE ta.alarm_id = a.id ORDER BY ta.added_at DESC LIMIT 1) AS ticket_id
FROM alarms a JOIN devices d ON d.id = a.device_id
WHERE (%(states)s::text[] IS NULL OR a.state = ANY(%(states)s))
  AND (NOT %(stale)s OR (a.active AND a.changed_at <= now() - make_interval(hours => %(stale_h)s)))
  AND d.site <> ALL(%(but_sites)s)
  AND (%(severity)s::text IS NULL OR a.severity = %(severity)s)
  AND (%(site)s::text IS NULL OR d.site = %(site)s)
  AND (%(device)s::text IS NULL OR strpos(lower(a.device), lower(%(device)s)) > 0)
ORDER BY CASE WHEN %(worst_first)s
              THEN array_position(ARRAY['unacknowledged', 'returned_unacknowledged', 'latched_unacknowledged', 'latched',
                                         'acknowledged'], a.state) END,
         CASE WHEN %(worst_first)s
              THEN array_position(ARRAY['critical', 'high', 'medium', 'low'], a.severity) END,
         a.raised_at DESC, a.id DESC
OFFSET %(had)s LIMIT %(limit)s

-- name: ticket_lines
-- A page of tickets with where they are. Open ones come most urgent first, history newest first.
SELECT t.id, t.device, d.site, t.title, t.state, t.priority, coalesce(u.name, t.assignee) AS assignee, t.opened_at
FROM tickets t JOIN devices d ON d.id = t.device_id
LEFT JOIN users u ON u.login = t.assignee
WHERE (%(states)s::text[] IS NULL OR t.state = ANY(%(states)s))
  AND (%(priority)s::text IS NULL OR t.priority = %(priority)s)
  AND (%(site)s::text IS NULL OR d.site = %(site)s)
  AND (%(device)s::text IS NULL OR strpos(lower(t.device), lower(%(device)s)) > 0)
ORDER BY CASE WHEN %(worst_first)s
              THEN array_position(ARRAY['urgent', 'high', 'medium', 'low'], t.priority) END,
         t.opened_at DESC, t.id DESC
OFFSET %(had)s LIMIT %(limit)s

-- name: people
-- Who can be sent, and what people are called.
SELECT login, name, role FROM users WHERE disabled_at IS NULL ORDER BY name, login
