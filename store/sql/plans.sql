-- name: plans
-- A page of plans, newest first; of one machine, those that reach it.
SELECT p.id, p.name, p.device, p.model, p.site, p.trigger, p.procedure, p.steps, p.parts, p.skills, p.work_h, p.fault_class,
       p.lead_days, p.healthy_from, p.put_off_most, p.made_at, p.made_by, p.changed_at, p.changed_by, p.ended_at
FROM plans p
WHERE (%(after_at)s::timestamptz IS NULL OR (p.made_at, p.id) < (%(after_at)s, %(after_id)s))
  AND (%(device)s::text IS NULL OR EXISTS (
      SELECT FROM devices d
      WHERE d.device = %(device)s AND (d.device = p.device OR d.model = p.model OR d.site = p.site)))
  AND (%(is_open)s::boolean IS NULL OR (p.ended_at IS NULL) = %(is_open)s)
ORDER BY p.made_at DESC, p.id DESC
LIMIT %(limit)s

-- name: plan
-- One plan.
SELECT id, name, device, model, site, trigger, procedure, steps, parts, skills, work_h, fault_class, lead_days, healthy_from,
       put_off_most, made_at, made_by, changed_at, changed_by, ended_at
FROM plans WHERE id = %(id)s

-- name: reaches
-- How many machines that are not retired a plan for this one, this model or this site reaches.
SELECT count(*) FROM devices
WHERE retired_at IS NULL AND (device = %(device)s OR model = %(model)s OR site = %(site)s)

-- name: unknown_part
-- A part that a plan names and there is none of.
SELECT number FROM unnest(%(numbers)s::text[]) AS wanted (number)
WHERE NOT EXISTS (SELECT FROM parts p WHERE p.number = wanted.number)
LIMIT 1

-- name: make
-- A new plan.
INSERT INTO plans (tenant, name, device, model, site, trigger, procedure, steps, parts, skills, work_h, fault_class, lead_days,
                   healthy_from, put_off_most, made_at, made_by, changed_at, changed_by)
VALUES (%(tenant)s, %(name)s, %(device)s, %(model)s, %(site)s, %(trigger)s, %(procedure)s, %(steps)s, %(parts)s, %(skills)s,
        %(work_h)s, %(fault_class)s, %(lead_days)s, %(healthy_from)s, %(put_off_most)s, %(now)s, %(who)s, %(now)s, %(who)s)
RETURNING id

-- name: change
-- A plan, all of it anew; one that has ended stays as it is.
UPDATE plans
SET name = %(name)s, device = %(device)s, model = %(model)s, site = %(site)s, trigger = %(trigger)s,
    procedure = %(procedure)s, steps = %(steps)s, parts = %(parts)s, skills = %(skills)s, work_h = %(work_h)s,
    fault_class = %(fault_class)s, lead_days = %(lead_days)s, healthy_from = %(healthy_from)s,
    put_off_most = %(put_off_most)s, changed_at = %(now)s, changed_by = %(who)s
WHERE id = %(id)s AND ended_at IS NULL

-- name: end
-- A plan makes no more tickets.
UPDATE plans SET ended_at = %(now)s, changed_at = %(now)s, changed_by = %(who)s WHERE id = %(id)s AND ended_at IS NULL

-- name: standings
-- How each machine stands to each plan that has not ended, in order of plan and machine; with the ticket that is still to
-- be done, and by when it is.
SELECT p.id AS plan_id, d.device, t.id AS ticket_id, t.due_at AS ticket_due_at, t.why AS ticket_why, r.since, r.times, r.taken, r.counted_at,
       r.shown, r.used, r.per_day, r.known_days, r.beyond_h, r.p_fail, r.fails_by, r.silent, r.health,
       o.outcome AS last_outcome, o.why AS last_why
FROM plans p
JOIN devices d ON d.tenant = p.tenant AND d.retired_at IS NULL AND (d.device = p.device OR d.model = p.model OR d.site = p.site)
LEFT JOIN plan_rounds r ON r.plan_id = p.id AND r.device_id = d.id
LEFT JOIN LATERAL (
    SELECT t.id, o.due_at, o.why FROM plan_occurrences o JOIN tickets t ON t.id = o.ticket_id
    WHERE o.plan_id = p.id AND o.device_id = d.id AND t.state NOT IN ('handed_over', 'follow_up', 'closed', 'cancelled')
    ORDER BY o.number LIMIT 1
) t ON true
LEFT JOIN LATERAL (
    SELECT outcome, why FROM plan_occurrences WHERE plan_id = p.id AND device_id = d.id ORDER BY number DESC LIMIT 1
) o ON true
WHERE p.ended_at IS NULL
  AND (%(device)s::text IS NULL OR d.device = %(device)s)
ORDER BY p.id, d.device
LIMIT %(limit)s

-- name: occurrences
-- What fell due by one plan, newest first.
SELECT o.number, d.device, o.found_at, o.due_at, o.why, o.outcome, o.ticket_id
FROM plan_occurrences o JOIN devices d ON d.id = o.device_id
WHERE o.plan_id = %(plan)s
ORDER BY o.found_at DESC, d.device, o.number DESC
LIMIT %(limit)s

-- name: lock_occurrences
-- What fell due of a machine and plan, all of it held, so that two open no two tickets; and whether its ticket has still to
-- be done: what was handed over is done, though its ticket is open until somebody has asked how it went.
SELECT o.number, o.due_at, o.why, o.outcome, o.ticket_id,
       coalesce(t.state NOT IN ('handed_over', 'follow_up', 'closed', 'cancelled'), false) AS to_do
FROM plan_occurrences o
JOIN devices d ON d.id = o.device_id
LEFT JOIN tickets t ON t.id = o.ticket_id
WHERE o.plan_id = %(plan)s AND d.device = %(device)s
ORDER BY o.number
FOR UPDATE OF o

-- name: answer_occurrence
-- What became of it.
UPDATE plan_occurrences o SET outcome = %(outcome)s, ticket_id = %(ticket)s, why = %(why)s
FROM devices d
WHERE d.id = o.device_id AND d.device = %(device)s AND o.plan_id = %(plan)s AND o.number = %(number)s
