-- name: review_faults
-- The faults of a month that came most often, and on how many machines.
SELECT f.fault, f.model, count(*) AS tickets, count(DISTINCT t.device_id) AS machines
FROM ticket_faults f JOIN tickets t ON t.id = f.ticket_id
WHERE f.opened_at >= %(begin)s AND f.opened_at < %(end)s
GROUP BY f.fault, f.model
ORDER BY count(*) DESC, f.fault, f.model
LIMIT %(most)s

-- name: review_parts
-- Parts that were thrown away or are not to be found, and what they had cost.
SELECT p.number AS part, p.name, p.currency, m.kind, sum(m.quantity)::bigint AS quantity, sum(m.quantity * p.value)::text AS value
FROM part_moves m JOIN parts p ON p.id = m.part_id
WHERE m.kind IN ('scrapped', 'lost') AND m.at >= %(begin)s AND m.at < %(end)s
GROUP BY p.number, p.name, p.currency, m.kind
ORDER BY sum(m.quantity * p.value) DESC, p.number, m.kind
LIMIT %(most)s

-- name: review_breaches
-- Promises that were kept or fell due within a month, by clock, and how many of them were broken.
SELECT clock, count(*) AS due, count(*) FILTER (WHERE breached_at IS NOT NULL) AS broken
FROM ticket_clocks
WHERE due_at >= %(begin)s AND due_at < %(end)s AND (stopped_at IS NOT NULL OR (paused_at IS NULL AND due_at < %(now)s))
GROUP BY clock
ORDER BY clock

-- name: review_counts
-- Tickets, and what of them was in vain, came back, or left somebody dissatisfied.
SELECT (SELECT count(*) FROM tickets WHERE opened_at >= %(begin)s AND opened_at < %(end)s) AS opened,
       (SELECT count(*) FROM tickets WHERE state = 'closed' AND closed_at >= %(begin)s AND closed_at < %(end)s) AS closed,
       (SELECT count(*) FROM tickets WHERE state = 'closed' AND closed_at >= %(begin)s AND closed_at < %(end)s
        AND source = 'alarm' AND verdict IN ('no_fault', 'sensor_fault')) AS false_alarms,
       (SELECT count(DISTINCT ticket_id) FROM ticket_events
        WHERE (kind = 'reopened' OR to_state = 'reopened') AND at >= %(begin)s AND at < %(end)s
        AND coalesce(from_state, '') NOT IN ('quality_check', 'on_hold')) AS came_back,
       (SELECT count(*) FROM ticket_papers WHERE paper = 'inspection' AND body ->> 'passed' = 'false'
        AND at >= %(begin)s AND at < %(end)s) AS failed_inspections,
       (SELECT count(*) FROM second_handlings WHERE opened_at >= %(begin)s AND opened_at < %(end)s) AS dissatisfied,
       (SELECT count(*) FROM second_handlings WHERE opened_at >= %(begin)s AND opened_at < %(end)s
        AND closed_at IS NOT NULL) AS dissatisfied_closed

-- name: review_dissatisfied
-- Customers of a month who were not satisfied, and what became of that.
SELECT h.ticket_id, t.device, coalesce(c.number, '') AS customer, s.csat, s.nps, h.cause, h.outcome, h.called_at, h.closed_at
FROM second_handlings h JOIN tickets t ON t.id = h.ticket_id JOIN surveys s ON s.id = h.survey_id
LEFT JOIN device_files f ON f.device_id = t.device_id LEFT JOIN customers c ON c.id = f.customer_id
WHERE h.opened_at >= %(begin)s AND h.opened_at < %(end)s
ORDER BY h.opened_at
LIMIT %(most)s

-- name: review_actions
-- Corrective actions that fell due within a month, or before it and are open yet.
SELECT id, problem, owner, due_at, state
FROM corrective_actions
WHERE due_at < %(end)s AND (due_at >= %(begin)s OR state = 'open')
ORDER BY due_at
LIMIT %(most)s

-- name: signed
-- A month as it was signed.
SELECT month, notes, figures, signed_at, signed_by FROM monthly_reviews WHERE month = %(month)s

-- name: sign
-- Once: what was signed stays.
INSERT INTO monthly_reviews (tenant, month, notes, figures, signed_at, signed_by)
VALUES (%(tenant)s, %(month)s, %(notes)s, %(figures)s, %(now)s, %(who)s)
ON CONFLICT (tenant, month) DO NOTHING
RETURNING month
