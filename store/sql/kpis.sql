-- name: promises
-- What was promised to tickets that opened within a span, and the faults among them; by step of time, by site and model,
-- and by engineer, or by engineer alone. Grouped finely first, since the tickets are many and the groups few.
WITH counted AS (
    SELECT CASE WHEN NOT %(engineers)s THEN date_trunc(%(step)s, o.opened_at AT TIME ZONE %(zone)s)::date END AS begins,
           CASE WHEN %(engineers)s THEN '' ELSE d.site END AS site,
           CASE WHEN %(engineers)s THEN '' ELSE coalesce(nullif(d.model, ''), d.kind) END AS model,
           CASE WHEN %(engineers)s THEN o.engineer ELSE '' END AS engineer,
           count(*) AS opened, count(*) FILTER (WHERE o.is_fault) AS faults,
           count(o.assignment) AS assignment_known, count(*) FILTER (WHERE o.assignment) AS assignment_kept,
           count(o.response) AS response_known, count(*) FILTER (WHERE o.response) AS response_kept,
           count(o.on_site) AS on_site_known, count(*) FILTER (WHERE o.on_site) AS on_site_kept,
           count(o.resolution) AS resolution_known, count(*) FILTER (WHERE o.resolution) AS resolution_kept
    FROM ticket_outcomes o JOIN devices d ON d.id = o.device_id
    WHERE o.opened_at >= %(begin)s AND o.opened_at < %(end)s
      AND (%(site)s::text IS NULL OR d.site = %(site)s)
      AND (%(model)s::text IS NULL OR coalesce(nullif(d.model, ''), d.kind) = %(model)s)
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
    GROUP BY 1, 2, 3, 4
)
SELECT grouping(begins, site, engineer) AS grouped, begins, site, model, engineer,
       sum(opened)::float8 AS opened, sum(faults)::float8 AS faults,
       sum(assignment_known)::float8 AS assignment_known, sum(assignment_kept)::float8 AS assignment_kept,
       sum(response_known)::float8 AS response_known, sum(response_kept)::float8 AS response_kept,
       sum(on_site_known)::float8 AS on_site_known, sum(on_site_kept)::float8 AS on_site_kept,
       sum(resolution_known)::float8 AS resolution_known, sum(resolution_kept)::float8 AS resolution_kept
FROM counted
GROUP BY GROUPING SETS ((begins), (site, model), (engineer))

-- name: services
-- What became of tickets that ended within a span: grouped as the promises are.
WITH counted AS (
    SELECT CASE WHEN NOT %(engineers)s THEN date_trunc(%(step)s, o.ended_at AT TIME ZONE %(zone)s)::date END AS begins,
           CASE WHEN %(engineers)s THEN '' ELSE d.site END AS site,
           CASE WHEN %(engineers)s THEN '' ELSE coalesce(nullif(d.model, ''), d.kind) END AS model,
           CASE WHEN %(engineers)s THEN o.engineer ELSE '' END AS engineer,
           count(*) AS ended, count(o.handed_over_at) AS repaired,
           sum(date_part('epoch', o.handed_over_at - o.opened_at)) AS repair_s,
           count(*) FILTER (WHERE o.handed_over_at <= %(held_since)s) AS fix_known,
           count(*) FILTER (WHERE o.handed_over_at > %(held_since)s) AS fix_pending,
           count(*) FILTER (WHERE o.handed_over_at <= %(held_since)s AND o.first_time
                            AND (o.returned_at IS NULL OR o.returned_at > o.handed_over_at + %(holds_for)s)) AS fix_held,
           count(o.passed) AS checked, count(*) FILTER (WHERE o.passed) AS passed,
           count(o.false_alarm) AS judged, count(*) FILTER (WHERE o.false_alarm) AS false_alarms,
           count(o.lead_s) AS found, count(*) FILTER (WHERE o.lead_s > 0) AS foreseen, sum(o.lead_s) AS lead_s,
           sum(o.work_s) AS work_s,
           count(*) FILTER (WHERE o.visits = 0 AND o.work_s > 0) AS afar,
           sum(o.work_s) FILTER (WHERE o.visits = 0) AS afar_work_s,
           count(*) FILTER (WHERE o.visits > 0) AS visited, sum(o.work_s) FILTER (WHERE o.visits > 0) AS visited_work_s,
           count(*) FILTER (WHERE o.currency IN ('', %(currency)s)) AS costed,
           sum(o.work_s) FILTER (WHERE o.currency IN ('', %(currency)s)) AS costed_work_s,
           sum(o.visits) FILTER (WHERE o.currency IN ('', %(currency)s)) AS costed_visits,
           sum(o.parts_value) FILTER (WHERE o.currency IN ('', %(currency)s)) AS parts_value
    FROM ticket_outcomes o JOIN devices d ON d.id = o.device_id
    WHERE o.ended_at >= %(begin)s AND o.ended_at < %(end)s
      AND (%(site)s::text IS NULL OR d.site = %(site)s)
      AND (%(model)s::text IS NULL OR coalesce(nullif(d.model, ''), d.kind) = %(model)s)
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
    GROUP BY 1, 2, 3, 4
)
SELECT grouping(begins, site, engineer) AS grouped, begins, site, model, engineer,
       sum(ended)::float8 AS ended, sum(repaired)::float8 AS repaired, sum(repair_s)::float8 AS repair_s,
       sum(fix_known)::float8 AS fix_known, sum(fix_pending)::float8 AS fix_pending, sum(fix_held)::float8 AS fix_held,
       sum(checked)::float8 AS checked, sum(passed)::float8 AS passed,
       sum(judged)::float8 AS judged, sum(false_alarms)::float8 AS false_alarms,
       sum(found)::float8 AS found, sum(foreseen)::float8 AS foreseen, sum(lead_s)::float8 AS lead_s,
       sum(work_s)::float8 AS work_s, sum(afar)::float8 AS afar, sum(afar_work_s)::float8 AS afar_work_s,
       sum(visited)::float8 AS visited, sum(visited_work_s)::float8 AS visited_work_s, sum(costed)::float8 AS costed,
       sum(costed_work_s)::float8 AS costed_work_s, sum(costed_visits)::float8 AS costed_visits,
       sum(parts_value)::float8 AS parts_value
FROM counted
GROUP BY GROUPING SETS ((begins), (site, model), (engineer))

-- name: surveys
-- What customers said who were asked within a span: grouped as the promises are. Whether somebody was reached is known
-- once it was due, of those who were not as of those who were.
WITH counted AS (
    SELECT CASE WHEN NOT %(engineers)s THEN date_trunc(%(step)s, s.made_at AT TIME ZONE %(zone)s)::date END AS begins,
           CASE WHEN %(engineers)s THEN '' ELSE d.site END AS site,
           CASE WHEN %(engineers)s THEN '' ELSE coalesce(nullif(d.model, ''), d.kind) END AS model,
           CASE WHEN %(engineers)s THEN o.engineer ELSE '' END AS engineer,
           count(*) FILTER (WHERE s.due_at <= %(now)s) AS asked,
           count(*) FILTER (WHERE s.due_at > %(now)s) AS asked_pending,
           count(*) FILTER (WHERE s.due_at <= %(now)s AND s.reached_at IS NOT NULL) AS reached,
           count(s.csat) AS answered, sum(s.csat) AS csat, count(s.nps) AS recommended,
           100 * (count(*) FILTER (WHERE s.nps >= 9) - count(*) FILTER (WHERE s.nps <= 6)) AS nps
    FROM surveys s JOIN ticket_outcomes o ON o.ticket_id = s.ticket_id JOIN devices d ON d.id = o.device_id
    WHERE s.made_at >= %(begin)s AND s.made_at < %(end)s
      AND (%(site)s::text IS NULL OR d.site = %(site)s)
      AND (%(model)s::text IS NULL OR coalesce(nullif(d.model, ''), d.kind) = %(model)s)
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
    GROUP BY 1, 2, 3, 4
)
SELECT grouping(begins, site, engineer) AS grouped, begins, site, model, engineer,
       sum(asked)::float8 AS asked, sum(asked_pending)::float8 AS asked_pending, sum(reached)::float8 AS reached,
       sum(answered)::float8 AS answered, sum(csat)::float8 AS csat, sum(recommended)::float8 AS recommended,
       sum(nps)::float8 AS nps
FROM counted
GROUP BY GROUPING SETS ((begins), (site, model), (engineer))

-- name: parts_used
-- What went into repairs within a span and stayed there, by step of time: of the parts that came to most, and of all
-- others together under no number.
WITH used AS (
    SELECT m.part_id, date_trunc(%(step)s, m.at AT TIME ZONE %(zone)s)::date AS begins,
           sum(CASE m.kind WHEN 'issue' THEN m.quantity ELSE -m.quantity END) AS quantity
    FROM part_moves m
    LEFT JOIN ticket_outcomes o ON o.ticket_id = m.ticket_id
    LEFT JOIN devices d ON d.id = o.device_id
    WHERE m.kind IN ('issue', 'unused') AND m.at >= %(begin)s AND m.at < %(end)s
      AND (%(site)s::text IS NULL OR d.site = %(site)s)
      AND (%(model)s::text IS NULL OR coalesce(nullif(d.model, ''), d.kind) = %(model)s)
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
    GROUP BY 1, 2
), most AS (
    SELECT p.id, p.number, p.name FROM parts p JOIN used u ON u.part_id = p.id
    GROUP BY p.id ORDER BY sum(u.quantity) DESC, p.number LIMIT %(most)s
)
SELECT coalesce(most.number, '') AS number, coalesce(most.name, '') AS name, u.begins, sum(u.quantity)::int AS quantity
FROM used u LEFT JOIN most ON most.id = u.part_id
GROUP BY 1, 2, 3
ORDER BY 1, 3

-- name: turnover
-- The value of what lay in depots, vans and on its way at the ends of a span, by what there is now less what came since,
-- and of what went into repairs between. `currencies`: values in several cannot be added.
WITH shelves AS (
    SELECT id FROM part_places WHERE kind IN ('central', 'regional', 'city', 'van', 'transit')
), moved AS (
    SELECT m.at, m.kind, m.quantity * p.value AS value,
           (m.to_id IN (SELECT id FROM shelves))::int - (m.from_id IN (SELECT id FROM shelves))::int AS came
    FROM part_moves m JOIN parts p ON p.id = m.part_id
    WHERE m.at >= %(begin)s
), lies AS (
    SELECT coalesce(sum(s.quantity * p.value), 0) AS value
    FROM part_stock s JOIN parts p ON p.id = s.part_id WHERE s.place_id IN (SELECT id FROM shelves)
)
SELECT (SELECT count(DISTINCT currency) FROM parts) AS currencies,
       (lies.value - coalesce(sum(moved.value * came), 0))::float8 AS stock_begin,
       (lies.value - coalesce(sum(moved.value * came) FILTER (WHERE at >= %(end)s), 0))::float8 AS stock_end,
       coalesce(sum(CASE kind WHEN 'issue' THEN moved.value ELSE -moved.value END)
                FILTER (WHERE kind IN ('issue', 'unused') AND at < %(end)s), 0)::float8 AS used_value,
       (count(*) FILTER (WHERE kind = 'issue' AND at < %(end)s))::float8 AS parts_moved
FROM lies LEFT JOIN moved ON true
GROUP BY lies.value

-- name: cases
-- The tickets behind a figure, the latest first; `value` is what each adds to it.
SELECT c.ticket_id, c.device, c.site, c.model, c.engineer, c.at, c.value
FROM (
    SELECT o.ticket_id, d.device, d.site, coalesce(nullif(d.model, ''), d.kind) AS model, o.engineer,
           CASE WHEN %(kpi)s IN ('assignment', 'response', 'on_site', 'resolution', 'faults')
                THEN o.opened_at ELSE o.ended_at END AS at,
           CASE %(kpi)s
               WHEN 'assignment' THEN o.assignment::int
               WHEN 'response' THEN o.response::int
               WHEN 'on_site' THEN o.on_site::int
               WHEN 'resolution' THEN o.resolution::int
               WHEN 'faults' THEN nullif(o.is_fault::int, 0)
               WHEN 'repair_s' THEN date_part('epoch', o.handed_over_at - o.opened_at)
               WHEN 'first_time_fix' THEN CASE WHEN o.handed_over_at <= %(held_since)s THEN
                   (o.first_time AND (o.returned_at IS NULL OR o.returned_at > o.handed_over_at + %(holds_for)s))::int END
               WHEN 'pass_rate' THEN o.passed::int
               WHEN 'false_alarms' THEN o.false_alarm::int
               WHEN 'foreseen' THEN (o.lead_s > 0)::int
               WHEN 'lead_s' THEN nullif(o.lead_s, 0)
               WHEN 'work_s' THEN o.work_s
               WHEN 'cost' THEN CASE WHEN o.currency IN ('', %(currency)s) THEN
                   (o.work_s / 3600 * %(hour)s + o.visits * %(visit)s + o.parts_value) * (1 + %(overhead)s) END
           END::float8 AS value
    FROM ticket_outcomes o JOIN devices d ON d.id = o.device_id
    WHERE (%(site)s::text IS NULL OR d.site = %(site)s)
      AND (%(model)s::text IS NULL OR coalesce(nullif(d.model, ''), d.kind) = %(model)s)
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
      AND CASE WHEN %(kpi)s IN ('assignment', 'response', 'on_site', 'resolution', 'faults')
               THEN o.opened_at >= %(begin)s AND o.opened_at < %(end)s
               ELSE o.ended_at >= %(begin)s AND o.ended_at < %(end)s END
) c
WHERE c.value IS NOT NULL AND (%(after_at)s::timestamptz IS NULL OR (c.at, c.ticket_id) < (%(after_at)s, %(after_id)s))
ORDER BY c.at DESC, c.ticket_id DESC
LIMIT %(limit)s

-- name: survey_cases
-- The tickets behind what customers said, the latest asked first.
SELECT c.ticket_id, c.device, c.site, c.model, c.engineer, c.at, c.value
FROM (
    SELECT s.ticket_id, d.device, d.site, coalesce(nullif(d.model, ''), d.kind) AS model, o.engineer, s.made_at AS at,
           CASE %(kpi)s WHEN 'satisfaction' THEN s.csat
                        WHEN 'nps' THEN s.nps
                        WHEN 'reach' THEN CASE WHEN s.due_at <= %(now)s THEN (s.reached_at IS NOT NULL)::int END
           END::float8 AS value
    FROM surveys s JOIN ticket_outcomes o ON o.ticket_id = s.ticket_id JOIN devices d ON d.id = o.device_id
    WHERE s.made_at >= %(begin)s AND s.made_at < %(end)s
      AND (%(site)s::text IS NULL OR d.site = %(site)s)
      AND (%(model)s::text IS NULL OR coalesce(nullif(d.model, ''), d.kind) = %(model)s)
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
) c
WHERE c.value IS NOT NULL AND (%(after_at)s::timestamptz IS NULL OR (c.at, c.ticket_id) < (%(after_at)s, %(after_id)s))
ORDER BY c.at DESC, c.ticket_id DESC
LIMIT %(limit)s

-- name: places
-- How many machines of which model stand where.
SELECT d.site, coalesce(nullif(d.model, ''), d.kind) AS model, count(*) FILTER (WHERE d.retired_at IS NULL) AS machines
FROM devices d GROUP BY 1, 2 ORDER BY 1, 2

-- name: goals
-- What the tenant aims at, and its rates.
SELECT goals, hour_rate, visit_rate, overhead, currency FROM service_goals

-- name: keep_goals
-- What it aims at from now on.
INSERT INTO service_goals (tenant, goals, hour_rate, visit_rate, overhead, currency, changed_at, changed_by)
VALUES (%(tenant)s, %(goals)s, %(hour)s, %(visit)s, %(overhead)s, %(currency)s, %(now)s, %(who)s)
ON CONFLICT (tenant) DO UPDATE
SET goals = excluded.goals, hour_rate = excluded.hour_rate, visit_rate = excluded.visit_rate, overhead = excluded.overhead,
    currency = excluded.currency, changed_at = excluded.changed_at, changed_by = excluded.changed_by
