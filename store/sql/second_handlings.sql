-- name: open_handling
-- Once for a survey, and none where the ticket has one that is open.
INSERT INTO second_handlings (tenant, ticket_id, survey_id, opened_at, start_due_at, call_due_at)
SELECT %(tenant)s, %(ticket)s, %(survey)s, %(now)s, %(start_due_at)s, %(call_due_at)s
WHERE NOT EXISTS (SELECT FROM second_handlings WHERE ticket_id = %(ticket)s AND closed_at IS NULL)
ON CONFLICT (survey_id) DO NOTHING
RETURNING id

-- name: handlings
-- Second handlings with what the customer said, newest first.
SELECT h.id, h.ticket_id, h.survey_id, h.opened_at, h.start_due_at, h.started_at, h.started_by, h.call_due_at, h.called_at,
       h.called_by, h.cause, h.outcome, h.closed_at, h.closed_by, t.device, t.title, s.csat, s.nps, s.comment,
       coalesce(c.name, '') AS customer, coalesce(c.contact, '') AS contact
FROM second_handlings h JOIN tickets t ON t.id = h.ticket_id JOIN surveys s ON s.id = h.survey_id
LEFT JOIN device_files f ON f.device_id = t.device_id LEFT JOIN customers c ON c.id = f.customer_id
WHERE (%(id)s::uuid IS NULL OR h.id = %(id)s)
  AND (%(ticket)s::uuid IS NULL OR h.ticket_id = %(ticket)s)
  AND (%(is_open)s::boolean IS NULL OR (h.closed_at IS NULL) = %(is_open)s)
  AND (%(after_at)s::timestamptz IS NULL OR (h.opened_at, h.id) < (%(after_at)s, %(after_id)s))
ORDER BY h.opened_at DESC, h.id DESC
LIMIT %(limit)s

-- name: ticket_of
-- Whose second handling it is.
SELECT ticket_id FROM second_handlings WHERE id = %(id)s

-- name: started
-- Somebody is at it.
UPDATE second_handlings SET started_at = %(now)s, started_by = %(who)s WHERE id = %(id)s

-- name: called_back
-- The customer was reached.
UPDATE second_handlings SET called_at = %(now)s, called_by = %(who)s WHERE id = %(id)s

-- name: closed
-- The cause is known, and what became of it.
UPDATE second_handlings SET cause = %(cause)s, outcome = %(outcome)s, closed_at = %(now)s, closed_by = %(who)s WHERE id = %(id)s
