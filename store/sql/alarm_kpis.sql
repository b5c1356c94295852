-- name: calls
-- What people were called for within a span, as columns of numbers packed in network order: thousands of rows of them are
-- read in the time that ten take.
SELECT string_agg(float8send(date_part('epoch', c.called_at)), '') AS at_s,
       string_agg(int4send(c.device_id), '') AS machine,
       string_agg(int8send(hashtextextended(c.rule || ' ' || c.point, c.device_id)), '') AS alarm,
       string_agg(uuid_send(c.occurrence_id), '') AS occurrence,
       string_agg(int4send(array_position(ARRAY['low', 'medium', 'high', 'critical'], c.severity)), '') AS severity,
       string_agg(float8send(coalesce(date_part('epoch', c.answered_at - c.called_at), 'NaN')), '') AS answered_s,
       string_agg(float8send(coalesce(date_part('epoch', c.ended_at - c.called_at), 'NaN')), '') AS stood_s
FROM alarm_calls c
WHERE c.called_at >= %(begin)s AND c.called_at < %(end)s
  AND (%(machines)s::int[] IS NULL OR c.device_id = ANY(%(machines)s))

-- name: machines
-- Which machines stand where; one that is retired has a site too, for what it called for.
SELECT id, site, retired_at IS NULL AS in_use FROM devices WHERE %(site)s::text IS NULL OR site = %(site)s

-- name: named
-- What occurrences are of.
SELECT a.id, a.device, d.site, a.rule, a.point FROM alarms a JOIN devices d ON d.id = a.device_id WHERE a.id = ANY(%(ids)s)

-- name: answers
-- Who answered the calls of a span, when and how soon, packed like the calls.
SELECT c.answered_by AS who, string_agg(float8send(date_part('epoch', c.answered_at)), '') AS at_s,
       string_agg(float8send(date_part('epoch', c.answered_at - c.called_at)), '') AS answered_s
FROM alarm_calls c
WHERE c.called_at >= %(begin)s AND c.called_at < %(end)s AND c.answered_by IS NOT NULL
  AND (%(machines)s::int[] IS NULL OR c.device_id = ANY(%(machines)s))
GROUP BY c.answered_by

-- name: floods
-- Floods that touch a span.
SELECT site, began_at, ended_at, most_alarms, first_out
FROM alarm_floods
WHERE began_at < %(end)s AND (ended_at IS NULL OR ended_at > %(begin)s) AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY began_at

-- name: chattering
-- How many alarms chattered, and how often.
SELECT count(DISTINCT (a.device_id, a.rule, a.point)) AS alarms, count(*) AS times
FROM alarm_events e JOIN alarms a ON a.id = e.occurrence_id
WHERE e.kind = 'chattering' AND e.recorded_at >= %(begin)s AND e.recorded_at < %(end)s
  AND (%(machines)s::int[] IS NULL OR a.device_id = ANY(%(machines)s))

-- name: standing
-- What stands unchanged for too long now, since when the one that has for longest, and what is kept quiet now.
SELECT count(*) FILTER (WHERE is_stale) AS stale, min(changed_at) FILTER (WHERE is_stale) AS stale_since,
       count(*) FILTER (WHERE state = 'shelved') AS shelved, count(*) FILTER (WHERE state = 'suppressed') AS suppressed,
       count(*) FILTER (WHERE state = 'out_of_service') AS out_of_service
FROM (SELECT state, changed_at,
             active AND state NOT IN ('shelved', 'suppressed', 'out_of_service')
             AND changed_at <= %(now)s - make_interval(hours => %(stale_h)s) AS is_stale
      FROM alarms
      WHERE state <> 'normal' AND (%(machines)s::int[] IS NULL OR device_id = ANY(%(machines)s))) open

-- name: quiets
-- For how long alarms were kept quiet within a span, by what and by whom. What touches the span either began or ended
-- in it or after it, or is quiet yet; of its whole story those events count that made it quiet or ended that.
WITH touched AS (
    SELECT occurrence_id AS id FROM alarm_events
    WHERE recorded_at >= %(begin)s
      AND (kind = 'chattering' OR state IN ('shelved', 'suppressed', 'out_of_service')
           OR kind IN ('unshelved', 'unsuppressed', 'returned_to_service', 'followed'))
    UNION
    SELECT id FROM alarms WHERE state <> 'normal' AND state IN ('shelved', 'suppressed', 'out_of_service')
), told AS (
    SELECT e.occurrence_id, e.state, e.who, e.note, e.recorded_at, e.at,
           lag(e.state) OVER (PARTITION BY e.occurrence_id ORDER BY e.recorded_at, e.at) AS before
    FROM touched JOIN alarm_events e ON e.occurrence_id = touched.id
), spans AS (
    SELECT occurrence_id, state, who, note, recorded_at AS began_at,
           lead(recorded_at) OVER (PARTITION BY occurrence_id ORDER BY recorded_at, at) AS ended_at
    FROM told WHERE state IS DISTINCT FROM before
)
SELECT s.state,
       CASE s.state WHEN 'shelved' THEN s.who
                    WHEN 'out_of_service' THEN coalesce(substring(s.note FROM '\(([^()]*)\)$'), s.who)
                    WHEN 'suppressed' THEN CASE WHEN s.note LIKE 'maintenance: %%' THEN 'maintenance' ELSE 'parent' END END AS whose,
       count(*) AS times,
       sum(date_part('epoch', least(coalesce(s.ended_at, %(now)s), %(end)s) - greatest(s.began_at, %(begin)s))) AS quiet_s
FROM spans s JOIN alarms a ON a.id = s.occurrence_id
WHERE s.state IN ('shelved', 'suppressed', 'out_of_service') AND s.began_at < %(end)s
  AND (s.ended_at IS NULL OR s.ended_at > %(begin)s)
  AND (%(machines)s::int[] IS NULL OR a.device_id = ANY(%(machines)s))
GROUP BY 1, 2
ORDER BY 1, 4 DESC, 2

-- name: false_alarms
-- Alarms whose ticket was closed within a span with nothing found.
SELECT count(DISTINCT ta.alarm_id) AS alarms
FROM tickets t JOIN ticket_alarms ta ON ta.ticket_id = t.id
WHERE t.verdict = 'no_fault' AND t.closed_at >= %(begin)s AND t.closed_at < %(end)s
  AND (%(machines)s::int[] IS NULL OR t.device_id = ANY(%(machines)s))
