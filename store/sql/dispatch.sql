-- name: tenants
-- Tenants that dispatch: those who have said who can go.
SELECT DISTINCT tenant FROM engineers ORDER BY tenant

-- name: policy
-- How a tenant dispatches; none where it has not said.
SELECT mode, visit_min, remote_min, ahead_min FROM dispatch_policies WHERE tenant = %(tenant)s

-- name: policy_of_caller
-- The same of the tenant that asks.
SELECT mode, visit_min, remote_min, ahead_min FROM dispatch_policies

-- name: keep_policy
-- How is dispatched from now on.
INSERT INTO dispatch_policies (tenant, mode, visit_min, remote_min, ahead_min, changed_by)
VALUES (%(tenant)s, %(mode)s, %(visit_min)s, %(remote_min)s, %(ahead_min)s, %(who)s)
ON CONFLICT (tenant) DO UPDATE
SET mode = excluded.mode, visit_min = excluded.visit_min, remote_min = excluded.remote_min,
    ahead_min = excluded.ahead_min, changed_at = now(), changed_by = excluded.changed_by

-- name: open_tickets
-- Tickets that wait for somebody, or that somebody has: what dispatch goes by. The most urgent come first.
SELECT t.id, t.state, t.assignee, t.priority, t.nature, t.opened_at, t.updated_at, d.site, s.latitude, s.longitude,
       c.on_site_due, c.done_due, g.mode,
       coalesce((SELECT jsonb_object_agg(p.number, coalesce(v.engineer, ''))
                 FROM part_reservations r JOIN parts p ON p.id = r.part_id
                 LEFT JOIN part_places v ON v.id = r.place_id AND v.kind = 'van'
                 WHERE r.ticket_id = t.id AND r.ended_at IS NULL),
                (SELECT jsonb_object_agg(p.number, '') FROM parts p
                 WHERE p.tenant = t.tenant AND g.mode = ANY(p.cures) AND (p.fits = '{}' OR d.model = ANY(p.fits))),
                '{}') AS parts
FROM tickets t
JOIN devices d ON d.id = t.device_id
LEFT JOIN sites s ON s.tenant = t.tenant AND s.site = d.site
LEFT JOIN LATERAL (
    SELECT max(due_at) FILTER (WHERE clock = 'on_site') AS on_site_due,
           max(due_at) FILTER (WHERE clock = 'resolution') AS done_due
    FROM ticket_clocks k
    WHERE k.ticket_id = t.id AND k.stopped_at IS NULL AND k.paused_at IS NULL
) c ON true
LEFT JOIN LATERAL (
    SELECT x.suspects -> 0 ->> 'mode' AS mode FROM diagnoses x
    WHERE x.ticket_id = t.id AND (x.suspects -> 0 ->> 'probability')::float8 >= %(probable)s
) g ON true
WHERE t.tenant = %(tenant)s AND t.state = ANY(%(states)s)
ORDER BY array_position(ARRAY['urgent', 'high', 'medium', 'low'], t.priority), c.on_site_due NULLS LAST, t.id
LIMIT %(limit)s

-- name: waiting
-- How many tickets wait for somebody.
SELECT count(*) FROM tickets WHERE tenant = %(tenant)s AND state = ANY(%(states)s)

-- name: who_can_go
-- Engineers of a tenant who are still with it.
SELECT e.login, u.name, e.skills, e.remote, e.latitude, e.longitude, e.speed_km_h, e.most, e.shifts
FROM engineers e JOIN users u ON u.tenant = e.tenant AND u.login = e.login
WHERE e.tenant = %(tenant)s AND u.disabled_at IS NULL AND u.role = 'engineer'
ORDER BY e.login

-- name: in_vans
-- What of each part is free in each engineer's van: that there is some.
SELECT v.engineer, p.number
FROM part_places v
JOIN part_stock s ON s.place_id = v.id
JOIN part_lots l ON l.id = s.lot_id AND (l.expires_on IS NULL OR l.expires_on >= %(today)s)
JOIN parts p ON p.id = s.part_id
WHERE v.tenant = %(tenant)s AND v.kind = 'van' AND v.closed_at IS NULL
GROUP BY v.id, v.engineer, p.id, p.number
HAVING sum(s.quantity) > coalesce((SELECT sum(r.quantity) FROM part_reservations r
                                   WHERE r.place_id = v.id AND r.part_id = p.id AND r.state = 'held'), 0)
ORDER BY v.engineer, p.number

-- name: plan
-- What the last plan was made of, and when.
SELECT made_at, inputs FROM dispatch_plans WHERE tenant = %(tenant)s

-- name: keep_plan
-- A plan, in place of the one before.
INSERT INTO dispatch_plans (tenant, made_at, inputs, way, cost, by_turns, left_out)
VALUES (%(tenant)s, %(now)s, %(inputs)s, %(way)s, %(cost)s, %(by_turns)s, %(left_out)s)
ON CONFLICT (tenant) DO UPDATE
SET made_at = excluded.made_at, inputs = excluded.inputs, way = excluded.way, cost = excluded.cost,
    by_turns = excluded.by_turns, left_out = excluded.left_out

-- name: forget_proposals
-- Proposals of tickets that are not in the plan any more.
DELETE FROM dispatch_proposals WHERE tenant = %(tenant)s AND ticket_id <> ALL(%(planned)s)

-- name: keep_proposal
-- Who goes to a ticket, in place of what was proposed before.
INSERT INTO dispatch_proposals (ticket_id, tenant, made_at, engineer, turn, sets_off, arrives, done, late_min, travel_min, reasons)
VALUES (%(ticket)s, %(tenant)s, %(now)s, %(engineer)s, %(turn)s, %(sets_off)s, %(arrives)s, %(done)s, %(late_min)s,
        %(travel_min)s, %(reasons)s)
ON CONFLICT (ticket_id) DO UPDATE
SET made_at = excluded.made_at, engineer = excluded.engineer, turn = excluded.turn, sets_off = excluded.sets_off,
    arrives = excluded.arrives, done = excluded.done, late_min = excluded.late_min, travel_min = excluded.travel_min,
    reasons = excluded.reasons

-- name: due_by_rule
-- Proposals of a tenant that assigns by rule whose engineer sets off soon, or where it is promised that somebody is sent
-- soon: of all tickets, or of one.
SELECT p.ticket_id, p.engineer FROM dispatch_proposals p
JOIN dispatch_policies r ON r.tenant = p.tenant AND r.mode = 'assign'
JOIN tickets t ON t.id = p.ticket_id
WHERE p.tenant = %(tenant)s AND p.engineer IS NOT NULL AND t.state = ANY(%(states)s)
  AND (%(ticket)s::uuid IS NULL OR p.ticket_id = %(ticket)s)
  AND (p.sets_off <= %(now)s + make_interval(mins => r.ahead_min)
       OR EXISTS (SELECT FROM ticket_clocks k
                  WHERE k.ticket_id = p.ticket_id AND k.clock = 'assignment' AND k.stopped_at IS NULL
                    AND k.paused_at IS NULL AND k.due_at <= %(now)s + INTERVAL '15 minutes'))
ORDER BY p.sets_off, p.ticket_id

-- name: proposals
-- Tickets that wait and who is proposed for them, in the order of setting off; those that nobody can go to first.
SELECT p.ticket_id, t.device, d.site, t.title, t.priority, t.state, t.opened_at, p.made_at, p.engineer, u.name, p.turn,
       p.sets_off, p.arrives, p.done, p.late_min, p.travel_min, p.reasons
FROM dispatch_proposals p
JOIN tickets t ON t.id = p.ticket_id
JOIN devices d ON d.id = t.device_id
LEFT JOIN users u ON u.tenant = p.tenant AND u.login = p.engineer
WHERE t.state = ANY(%(states)s)
  AND (%(after_at)s::timestamptz IS NULL
       OR (coalesce(p.sets_off, '0001-01-01 00:00:00+00'), p.ticket_id) > (%(after_at)s, %(after_id)s))
ORDER BY coalesce(p.sets_off, '0001-01-01 00:00:00+00'), p.ticket_id
LIMIT %(limit)s

-- name: last_plan
-- What the last plan of the tenant that asks came to.
SELECT made_at, way, cost, by_turns, left_out FROM dispatch_plans

-- name: proposed
-- Who is proposed for a ticket that waits; no row where it is not known, or waits no longer.
SELECT t.state, p.ticket_id IS NOT NULL, p.engineer, p.reasons
FROM tickets t LEFT JOIN dispatch_proposals p ON p.ticket_id = t.id
WHERE t.id = %(ticket)s

-- name: decide
-- What became of a proposal.
INSERT INTO dispatch_decisions (tenant, ticket_id, at, who, kind, proposed, chosen, reason)
VALUES (%(tenant)s, %(ticket)s, %(now)s, %(who)s, %(kind)s, %(proposed)s, %(chosen)s, %(reason)s)

-- name: decisions
-- What became of proposals, the latest first.
SELECT x.id, x.ticket_id, t.device, t.title, x.at, x.who, x.kind, x.proposed, x.chosen, x.reason
FROM dispatch_decisions x JOIN tickets t ON t.id = x.ticket_id
WHERE (%(before)s::bigint IS NULL OR x.id < %(before)s) AND (%(kind)s::text IS NULL OR x.kind = %(kind)s)
ORDER BY x.id DESC
LIMIT %(limit)s
