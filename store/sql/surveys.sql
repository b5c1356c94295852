-- name: whose
-- Whose machine a ticket is about, and how they are reached: as it was said with the report, then as it is known.
SELECT coalesce(c.name, '') AS name, coalesce(c.tier, 'regular') AS tier,
       concat_ws(' ', (SELECT r.contact FROM ticket_reports r WHERE r.ticket_id = t.id AND r.contact <> '' ORDER BY r.at DESC LIMIT 1),
                 c.contact) AS contact
FROM tickets t LEFT JOIN device_files f ON f.device_id = t.device_id LEFT JOIN customers c ON c.id = f.customer_id
WHERE t.id = %(id)s

-- name: make
-- A survey for this turn of a ticket, once.
INSERT INTO surveys (tenant, ticket_id, turn, terms, made_at, due_at, expires_at, link_hash, sent_at, to_call)
VALUES (%(tenant)s, %(ticket)s, %(turn)s, %(terms)s, %(now)s, %(due_at)s, %(expires_at)s, %(hash)s, %(sent_at)s, %(to_call)s)
ON CONFLICT (ticket_id, turn) DO NOTHING
RETURNING id

-- name: surveys
-- Surveys with whom they are about, newest first; of those to be called, the most urgent first. A letter that could not
-- be delivered is a reason to call.
SELECT * FROM (
    SELECT s.id, s.ticket_id, s.turn, s.terms, s.made_at, s.due_at, s.expires_at, s.sent_at, s.calls, s.called_at, s.called_by,
           s.reached_at, s.answered_at, s.how, s.csat, s.nps, s.answers, s.comment, t.device, t.title,
           CASE WHEN s.to_call = '' AND m.state = 'undeliverable' THEN 'undeliverable' ELSE s.to_call END AS to_call,
           coalesce(c.name, '') AS customer, coalesce(c.tier, 'regular') AS tier,
           concat_ws(', ', (SELECT r.contact FROM ticket_reports r WHERE r.ticket_id = t.id AND r.contact <> '' ORDER BY r.at DESC LIMIT 1),
                     nullif(c.contact, '')) AS contact
    FROM surveys s JOIN tickets t ON t.id = s.ticket_id
    LEFT JOIN device_files f ON f.device_id = t.device_id LEFT JOIN customers c ON c.id = f.customer_id
    LEFT JOIN messages m ON m.tenant = s.tenant AND m.once = 'survey:' || s.ticket_id || ':' || s.turn
    WHERE (%(id)s::uuid IS NULL OR s.id = %(id)s)
      AND (%(ticket)s::uuid IS NULL OR s.ticket_id = %(ticket)s)
      AND (%(after_at)s::timestamptz IS NULL OR (s.made_at, s.id) < (%(after_at)s, %(after_id)s))
) one
WHERE CASE %(which)s WHEN 'to_call' THEN to_call <> '' AND reached_at IS NULL AND expires_at > %(now)s
                     WHEN 'answered' THEN answered_at IS NOT NULL
                     WHEN 'waiting' THEN answered_at IS NULL AND expires_at > %(now)s
                     ELSE true END
ORDER BY CASE WHEN %(which)s = 'to_call' THEN due_at END, made_at DESC, id DESC
LIMIT %(limit)s

-- name: lock_survey
-- Hold a survey until the transaction ends.
SELECT ticket_id FROM surveys WHERE id = %(id)s FOR UPDATE

-- name: holder
-- Whose survey a link opens.
SELECT tenant, id FROM survey_of_link(%(hash)s)

-- name: set_link
-- Another link takes the place of the one before.
UPDATE surveys SET link_hash = %(hash)s WHERE id = %(id)s

-- name: called
-- Somebody has called; whether the customer was there.
UPDATE surveys
SET calls = calls + 1, called_at = %(now)s, called_by = %(who)s,
    reached_at = CASE WHEN %(reached)s THEN coalesce(reached_at, %(now)s) ELSE reached_at END
WHERE id = %(id)s

-- name: answered
-- What the customer said.
UPDATE surveys
SET answered_at = %(now)s, reached_at = coalesce(reached_at, %(now)s), how = %(how)s, csat = %(csat)s, nps = %(nps)s,
    answers = %(answers)s, comment = %(comment)s
WHERE id = %(id)s

-- name: sums
-- How many were asked, reached and answered within a span, what they came to, and whom nobody has asked in time.
SELECT count(*) AS asked, count(reached_at) AS reached, count(answered_at) AS answered, avg(csat)::float8 AS csat,
       coalesce(array_agg(nps) FILTER (WHERE nps IS NOT NULL), '{}') AS ratings,
       count(*) FILTER (WHERE due_at < %(now)s AND coalesce(least(sent_at, called_at, answered_at), %(now)s) > due_at) AS late
FROM surveys WHERE made_at >= %(begin)s AND made_at < %(end)s
