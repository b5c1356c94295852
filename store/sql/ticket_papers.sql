-- name: papers
-- What was written down for a ticket, in order.
SELECT id, turn, paper, at, who, body FROM ticket_papers WHERE ticket_id = %(id)s ORDER BY id

-- name: write
-- Write something down beside a move.
INSERT INTO ticket_papers (ticket_id, tenant, turn, paper, at, who, body)
VALUES (%(id)s, %(tenant)s, %(turn)s, %(paper)s, %(now)s, %(who)s, %(body)s)

-- name: around
-- What a move is judged by that stands elsewhere: the end of the warranty, parts that wait, who has worked on it,
-- and whether a repair was begun since it was last reopened, and whether its customer was not satisfied and waits.
SELECT f.warranty_until,
       (SELECT count(*) FROM part_reservations WHERE ticket_id = t.id AND state = 'waiting') AS parts_waiting,
       (SELECT coalesce(array_agg(w.who), '{}')
        FROM (SELECT e.who FROM ticket_events e
              WHERE e.ticket_id = t.id AND e.from_state IS DISTINCT FROM 'on_hold'
                AND (e.to_state = ANY(%(worked)s) AND e.from_state NOT IN ('escalated', 'quality_check')
                     OR e.kind = 'part_issued')
              UNION
              SELECT k.who FROM ticket_step_marks k WHERE k.ticket_id = t.id) w) AS workers,
       EXISTS (SELECT FROM ticket_events e WHERE e.ticket_id = t.id AND e.to_state = 'repairing'
               AND e.id > coalesce((SELECT max(id) FROM ticket_events r
                                    WHERE r.ticket_id = t.id AND r.to_state = 'reopened'), 0)) AS repaired,
       EXISTS (SELECT FROM second_handlings h WHERE h.ticket_id = t.id AND h.closed_at IS NULL) AS complained
FROM tickets t LEFT JOIN device_files f ON f.device_id = t.device_id
WHERE t.id = %(id)s

-- name: holder
-- Whose ticket a code follows.
SELECT tenant, id FROM holder_of_code(%(code)s)

-- name: parts_there
-- Tickets of all tenants that wait for parts which are there by now.
SELECT t.tenant, t.id FROM tickets t
WHERE t.state = 'awaiting_parts'
  AND EXISTS (SELECT FROM ticket_clocks c WHERE c.ticket_id = t.id AND c.paused_at IS NOT NULL AND c.stopped_at IS NULL)
  AND NOT EXISTS (SELECT FROM part_reservations r WHERE r.ticket_id = t.id AND r.state = 'waiting')
LIMIT %(limit)s

-- name: add_seed
-- A month's seed, once.
INSERT INTO quality_seeds (tenant, month, seed, commitment) VALUES (%(tenant)s, %(month)s, %(seed)s, %(commitment)s)
ON CONFLICT DO NOTHING

-- name: seed
-- What a month's draws are decided by.
SELECT seed FROM quality_seeds WHERE month = %(month)s

-- name: months
-- The months of which there is a seed, newest first; the seed itself of those that are over.
SELECT month, commitment, made_at, CASE WHEN month < %(this_month)s THEN encode(seed, 'hex') END AS seed
FROM quality_seeds
WHERE %(before)s::date IS NULL OR month < %(before)s
ORDER BY month DESC
LIMIT %(limit)s

-- name: draws
-- The draws of some months, in order.
SELECT (body ->> 'month')::date AS month, ticket_id, turn, at, (body ->> 'share')::float8 AS share,
       body -> 'looks' ? 'sample' AS drawn
FROM ticket_papers
WHERE paper = 'check' AND (body ->> 'month')::date = ANY(%(months)s)
ORDER BY id

-- name: looked_at
-- The draws of a month with what each ticket is, who looked at it since, and what they said; drawn ones first.
SELECT c.ticket_id, c.turn, c.at, (c.body ->> 'share')::float8 AS share, c.body -> 'looks' ? 'sample' AS drawn,
       ARRAY(SELECT jsonb_array_elements_text(c.body -> 'looks')) AS looks, t.title, t.device,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('who', i.who, 'at', i.at, 'passed', i.body -> 'passed') ORDER BY i.id), '[]')
        FROM ticket_papers i
        WHERE i.ticket_id = c.ticket_id AND i.turn = c.turn AND i.paper = 'inspection' AND i.id > c.id) AS inspections
FROM ticket_papers c JOIN tickets t ON t.id = c.ticket_id
WHERE c.paper = 'check' AND (c.body ->> 'month')::date = %(month)s
ORDER BY drawn DESC, c.id
LIMIT %(limit)s

-- name: to_look_at
-- Tickets that wait for an inspection, the longest first.
SELECT c.ticket_id, c.turn, c.at, (c.body ->> 'share')::float8 AS share, c.body -> 'looks' ? 'sample' AS drawn,
       ARRAY(SELECT jsonb_array_elements_text(c.body -> 'looks')) AS looks, t.title, t.device,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('who', i.who, 'at', i.at, 'passed', i.body -> 'passed') ORDER BY i.id), '[]')
        FROM ticket_papers i
        WHERE i.ticket_id = c.ticket_id AND i.turn = c.turn AND i.paper = 'inspection' AND i.id > c.id) AS inspections
FROM tickets t
JOIN LATERAL (SELECT * FROM ticket_papers p WHERE p.ticket_id = t.id AND p.turn = t.turn AND p.paper = 'check'
              ORDER BY p.id DESC LIMIT 1) c ON true
WHERE t.state = 'quality_check'
ORDER BY c.id
LIMIT %(limit)s
