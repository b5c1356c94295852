-- name: promises
-- What was promised to tickets that opened within a span, and the faults among them: by step of time, by site and model,
-- and by engineer where that is asked. One pass over the tickets, which are many, groups them by numbers, once by step
-- and engineer and once by machine; the sums of these groups, which are few, are what is answered.
WITH counted AS (
    SELECT width_bucket(o.opened_at, %(begins)s::timestamptz[]) AS step,
           CASE WHEN %(engineers)s THEN o.engineer END AS engineer, o.device_id,
           count(*) AS opened, count(*) FILTER (WHERE o.is_fault) AS faults,
           count(o.assignment) AS assignment_known, count(*) FILTER (WHERE o.assignment) AS assignment_kept,
           count(o.response) AS response_known, count(*) FILTER (WHERE o.response) AS response_kept,
           count(o.on_site) AS on_site_known, count(*) FILTER (WHERE o.on_site) AS on_site_kept,
           count(o.resolution) AS resolution_known, count(*) FILTER (WHERE o.resolution) AS resolution_kept
    FROM ticket_outcomes o
    WHERE o.opened_at >= %(begin)s AND o.opened_at < %(end)s
      AND (%(devices)s::int[] IS NULL OR o.device_id = ANY (%(devices)s))
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
    GROUP BY GROUPING SETS ((1, 2), (3))
)
SELECT grouping(c.step, d.site, c.engineer) AS grouped, (%(days)s::date[])[c.step] AS begins,
       d.site, coalesce(nullif(d.model, ''), d.kind) AS model, c.engineer,
       sum(opened)::float8 AS opened, sum(faults)::float8 AS faults,
       sum(assignment_known)::float8 AS assignment_known, sum(assignment_kept)::float8 AS assignment_kept,
       sum(response_known)::float8 AS response_known, sum(response_kept)::float8 AS response_kept,
       sum(on_site_known)::float8 AS on_site_known, sum(on_site_kept)::float8 AS on_site_kept,
       sum(resolution_known)::float8 AS resolution_known, sum(resolution_kept)::float8 AS resolution_kept
FROM counted c LEFT JOIN devices d ON d.id = c.device_id
GROUP BY GROUPING SETS ((c.step), (d.site, coalesce(nullif(d.model, ''), d.kind)), (c.engineer))
HAVING num_nonnulls(c.step, d.site, c.engineer) > 0

-- name: services
-- What became of tickets that ended within a span: grouped as the promises are. Whether somebody went there, and in
-- which currency the parts were, parts the groups too: each is asked once a ticket. `groups`: by machine where that is asked.
WITH counted AS (
    SELECT width_bucket(o.ended_at, %(begins)s::timestamptz[]) AS step,
           CASE WHEN %(engineers)s THEN o.engineer END AS engineer,
           CASE WHEN %(places)s THEN o.device_id END AS device_id,
           o.visits > 0 AS visited, o.currency IN ('', %(currency)s) AS costed,
           count(*) AS ended, count(o.handed_over_at) AS repaired,
           sum(o.handed_over_at - o.opened_at) AS repair,
           count(*) FILTER (WHERE o.handed_over_at <= %(held_since)s) AS fix_known,
           count(*) FILTER (WHERE o.handed_over_at <= %(held_since)s AND o.first_time
                            AND (o.returned_at IS NULL OR o.returned_at > o.handed_over_at + %(holds_for)s)) AS fix_held,
           count(o.passed) AS checked, count(*) FILTER (WHERE o.passed) AS passed,
           count(o.false_alarm) AS judged, count(*) FILTER (WHERE o.false_alarm) AS false_alarms,
           count(o.lead_s) AS found, count(*) FILTER (WHERE o.lead_s > 0) AS foreseen, sum(o.lead_s::float8) AS lead_s,
           sum(o.work_s::float8) AS work_s, count(*) FILTER (WHERE o.work_s > 0) AS worked,
           sum(o.visits) AS visits, sum(o.parts_value) AS parts_value
    FROM ticket_outcomes o
    WHERE o.ended_at >= %(begin)s AND o.ended_at < %(end)s
      AND (%(devices)s::int[] IS NULL OR o.device_id = ANY (%(devices)s))
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
    GROUP BY 4, 5, {groups}
)
SELECT grouping(c.step, d.site, c.engineer) AS grouped, (%(days)s::date[])[c.step] AS begins,
       d.site, coalesce(nullif(d.model, ''), d.kind) AS model, c.engineer,
       sum(ended)::float8 AS ended, sum(repaired)::float8 AS repaired, date_part('epoch', sum(repair)) AS repair_s,
       sum(fix_known)::float8 AS fix_known, sum(repaired - fix_known)::float8 AS fix_pending,
       sum(fix_held)::float8 AS fix_held, sum(checked)::float8 AS checked, sum(passed)::float8 AS passed,
       sum(judged)::float8 AS judged, sum(false_alarms)::float8 AS false_alarms,
       sum(found)::float8 AS found, sum(foreseen)::float8 AS foreseen, sum(lead_s)::float8 AS lead_s,
       sum(work_s)::float8 AS work_s, (sum(worked) FILTER (WHERE NOT c.visited))::float8 AS afar,
       (sum(work_s) FILTER (WHERE NOT c.visited))::float8 AS afar_work_s,
       (sum(ended) FILTER (WHERE c.visited))::float8 AS visited,
       (sum(work_s) FILTER (WHERE c.visited))::float8 AS visited_work_s,
       (sum(ended) FILTER (WHERE c.costed))::float8 AS costed,
       (sum(work_s) FILTER (WHERE c.costed))::float8 AS costed_work_s,
       (sum(visits) FILTER (WHERE c.costed))::float8 AS costed_visits,
       (sum(parts_value) FILTER (WHERE c.costed))::float8 AS parts_value
FROM counted c LEFT JOIN devices d ON d.id = c.device_id
GROUP BY GROUPING SETS ((c.step), (d.site, coalesce(nullif(d.model, ''), d.kind)), (c.engineer))
HAVING num_nonnulls(c.step, d.site, c.engineer) > 0

-- name: surveys
-- What customers said who were asked within a span: grouped as the promises are. Whether somebody was reached is known
-- once it was due, of those who were not as of those who were. `groups` as of the services.
WITH counted AS (
    SELECT width_bucket(s.made_at, %(begins)s::timestamptz[]) AS step,
           CASE WHEN %(engineers)s THEN s.engineer END AS engineer,
           CASE WHEN %(places)s THEN s.device_id END AS device_id,
           count(*) FILTER (WHERE s.due_at <= %(now)s) AS asked,
           count(*) FILTER (WHERE s.due_at > %(now)s) AS asked_pending,
           count(*) FILTER (WHERE s.due_at <= %(now)s AND s.reached_at IS NOT NULL) AS reached,
           count(s.csat) AS answered, sum(s.csat::float8) AS csat, count(s.nps) AS recommended,
           100 * (count(*) FILTER (WHERE s.nps >= 9) - count(*) FILTER (WHERE s.nps <= 6)) AS nps
    FROM surveys s
    WHERE s.made_at >= %(begin)s AND s.made_at < %(end)s
      AND (%(devices)s::int[] IS NULL OR s.device_id = ANY (%(devices)s))
      AND (%(engineer)s::text IS NULL OR s.engineer = %(engineer)s)
    GROUP BY {groups}
)
SELECT grouping(c.step, d.site, c.engineer) AS grouped, (%(days)s::date[])[c.step] AS begins,
       d.site, coalesce(nullif(d.model, ''), d.kind) AS model, c.engineer,
       sum(asked)::float8 AS asked, sum(asked_pending)::float8 AS asked_pending, sum(reached)::float8 AS reached,
       sum(answered)::float8 AS answered, sum(csat)::float8 AS csat, sum(recommended)::float8 AS recommended,
       sum(nps)::float8 AS nps
FROM counted c LEFT JOIN devices d ON d.id = c.device_id
GROUP BY GROUPING SETS ((c.step), (d.site, coalesce(nullif(d.model, ''), d.kind)), (c.engineer))
HAVING num_nonnulls(c.step, d.site, c.engineer) > 0

-- name: parts_used
-- What went into repairs within a span and stayed there, by step of time: of the parts that came to most, and of all
-- others together under no number.
WITH used AS (
    SELECT m.part_id, width_bucket(m.at, %(begins)s::timestamptz[]) AS step,
           sum(CASE m.kind WHEN 'issue' THEN m.quantity ELSE -m.quantity END) AS quantity
    FROM part_moves m
    LEFT JOIN ticket_outcomes o ON o.ticket_id = m.ticket_id
    WHERE m.kind IN ('issue', 'unused') AND m.at >= %(begin)s AND m.at < %(end)s
      AND (%(devices)s::int[] IS NULL OR o.device_id = ANY (%(devices)s))
      AND (%(engineer)s::text IS NULL OR o.engineer = %(engineer)s)
    GROUP BY 1, 2
), most AS (
    SELECT p.id, p.number, p.name FROM parts p JOIN used u ON u.part_id = p.id
    GROUP BY p.id ORDER BY sum(u.quantity) DESC, p.number LIMIT %(most)s
)
SELECT coalesce(most.number, '') AS number, coalesce(most.name, '') AS name, (%(days)s::date[])[u.step] AS begins,
       sum(u.quantity)::int AS quantity
FROM used u LEFT JOIN most ON most.id = u.part_id
GROUP BY 1, 2, u.step
ORDER BY 1, 3

-- name: turnover
-- The value of what lay in depots, vans and on its way at the ends of a span, by what there is now less what came since,
-- and of what went into repairs between. `currencies`: values in several cannot be added.
WITH shelves AS (
    SELECT id FROM part_places WHERE kind IN ('central', 'regional', 'city', 'van', 'transit')
), moved AS (
    SELECT m.part_id, m.at < %(end)s AS within, m.kind,
           (m.to_id IN (SELECT id FROM shelves))::int - (m.from_id IN (SELECT id FROM shelves))::int AS came,
           count(*) AS moves, sum(m.quantity) AS quantity
    FROM part_moves m
    WHERE m.at >= %(begin)s
    GROUP BY 1, 2, 3, 4
), worth AS (
    SELECT m.within, m.kind, m.came, m.moves, m.quantity * p.value AS value FROM moved m JOIN parts p ON p.id = m.part_id
), lies AS (
    SELECT coalesce(sum(s.quantity * p.value), 0) AS value
    FROM part_stock s JOIN parts p ON p.id = s.part_id WHERE s.place_id IN (SELECT id FROM shelves)
)
SELECT (SELECT count(DISTINCT currency) FROM parts) AS currencies,
       (lies.value - coalesce(sum(worth.value * came), 0))::float8 AS stock_begin,
       (lies.value - coalesce(sum(worth.value * came) FILTER (WHERE NOT within), 0))::float8 AS stock_end,
       coalesce(sum(CASE kind WHEN 'issue' THEN worth.value ELSE -worth.value END)
                FILTER (WHERE kind IN ('issue', 'unused') AND within), 0)::float8 AS used_value,
       coalesce(sum(moves) FILTER (WHERE kind = 'issue' AND within), 0)::float8 AS parts_moved
FROM lies LEFT JOIN worth ON true
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
    WHERE (%(devices)s::int[] IS NULL OR o.device_id = ANY (%(devices)s))
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
    SELECT s.ticket_id, d.device, d.site, coalesce(nullif(d.model, ''), d.kind) AS model, s.engineer, s.made_at AS at,
           CASE %(kpi)s WHEN 'satisfaction' THEN s.csat
                        WHEN 'nps' THEN s.nps
                        WHEN 'reach' THEN CASE WHEN s.due_at <= %(now)s THEN (s.reached_at IS NOT NULL)::int END
           END::float8 AS value
    FROM surveys s JOIN devices d ON d.id = s.device_id
    WHERE s.made_at >= %(begin)s AND s.made_at < %(end)s
      AND (%(devices)s::int[] IS NULL OR s.device_id = ANY (%(devices)s))
      AND (%(engineer)s::text IS NULL OR s.engineer = %(engineer)s)
) c
WHERE c.value IS NOT NULL AND (%(after_at)s::timestamptz IS NULL OR (c.at, c.ticket_id) < (%(after_at)s, %(after_id)s))
ORDER BY c.at DESC, c.ticket_id DESC
LIMIT %(limit)s

-- name: machines
-- Those of a site, of a model, or of both.
SELECT d.id FROM devices d
WHERE (%(site)s::text IS NULL OR d.site = %(site)s)
  AND (%(model)s::text IS NULL OR coalesce(nullif(d.model, ''), d.kind) = %(model)s)

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
