-- name: of_ticket
-- The appointment that a ticket waits for, held by whoever holds the ticket.
SELECT p.id AS paper_id, t.id AS ticket_id, t.code, t.device, t.title, t.assignee, t.priority,
       (p.body ->> 'begins_at')::timestamptz AS begins_at, (p.body ->> 'ends_at')::timestamptz AS ends_at,
       a.reminded_at, a.answer, coalesce(a.note, '') AS note, a.answered_at, coalesce(a.answers, 0) AS answers,
       coalesce(a.said_by, '') AS said_by, a.way, coalesce(a.taken_by, '') AS taken_by
FROM tickets t
CROSS JOIN LATERAL (SELECT id, body FROM ticket_papers
                    WHERE ticket_id = t.id AND turn = t.turn AND paper = 'appointment' ORDER BY id DESC LIMIT 1) p
LEFT JOIN appointments a ON a.paper_id = p.id
WHERE t.id = %(id)s AND t.state = 'scheduled'

-- name: coming
-- The appointments of tickets that wait for one, the soonest first.
SELECT p.id AS paper_id, t.id AS ticket_id, t.code, t.device, t.title, t.assignee, t.priority,
       (p.body ->> 'begins_at')::timestamptz AS begins_at, (p.body ->> 'ends_at')::timestamptz AS ends_at,
       a.reminded_at, a.answer, coalesce(a.note, '') AS note, a.answered_at, coalesce(a.answers, 0) AS answers,
       coalesce(a.said_by, '') AS said_by, a.way, coalesce(a.taken_by, '') AS taken_by
FROM tickets t
CROSS JOIN LATERAL (SELECT id, body FROM ticket_papers
                    WHERE ticket_id = t.id AND turn = t.turn AND paper = 'appointment' ORDER BY id DESC LIMIT 1) p
LEFT JOIN appointments a ON a.paper_id = p.id
WHERE t.state = 'scheduled'
  AND (%(after_at)s::timestamptz IS NULL
       OR ((p.body ->> 'begins_at')::timestamptz, t.id) > (%(after_at)s, %(after_id)s))
ORDER BY begins_at, t.id
LIMIT %(limit)s

-- name: near
-- Tickets of all tenants whose appointment is near by their terms, and that nobody was reminded of.
SELECT t.tenant, t.id, said.terms
FROM tickets t
CROSS JOIN LATERAL (SELECT id, (body ->> 'begins_at')::timestamptz AS begins_at FROM ticket_papers
                    WHERE ticket_id = t.id AND turn = t.turn AND paper = 'appointment' ORDER BY id DESC LIMIT 1) p
LEFT JOIN appointments a ON a.paper_id = p.id
LEFT JOIN LATERAL (SELECT terms FROM terms
                   WHERE tenant = t.tenant ORDER BY version DESC LIMIT 1) said ON true
WHERE t.state = 'scheduled' AND a.reminded_at IS NULL AND p.begins_at > %(now)s
  AND p.begins_at <= %(now)s + make_interval(hours => coalesce((said.terms ->> 'remind_h')::int, %(remind_h)s))
ORDER BY p.begins_at
LIMIT %(limit)s

-- name: reminded
-- The customer was reminded of an appointment; whoever comes second finds it done.
INSERT INTO appointments AS a (paper_id, ticket_id, tenant, reminded_at)
VALUES (%(paper_id)s, %(ticket_id)s, %(tenant)s, %(now)s)
ON CONFLICT (paper_id) DO UPDATE SET reminded_at = excluded.reminded_at WHERE a.reminded_at IS NULL
RETURNING paper_id

-- name: contact
-- Where the customer of a ticket is reached.
SELECT coalesce(contact_of_ticket(%(id)s), '')

-- name: answered
-- The customer's last word to an appointment.
INSERT INTO appointments AS a (paper_id, ticket_id, tenant, answer, note, answered_at, answers, said_by, way, taken_by)
VALUES (%(paper_id)s, %(ticket_id)s, %(tenant)s, %(answer)s, %(note)s, %(now)s, (%(way)s = 'page')::int, %(said_by)s, %(way)s,
        %(taken_by)s)
ON CONFLICT (paper_id) DO UPDATE
SET answer = excluded.answer, note = excluded.note, answered_at = excluded.answered_at, answers = a.answers + excluded.answers,
    said_by = excluded.said_by, way = excluded.way, taken_by = excluded.taken_by
