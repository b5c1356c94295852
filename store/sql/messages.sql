-- name: queue_for_customer
-- A message to a customer, unless the same was queued before. Without an address it is undeliverable at once, and seen.
INSERT INTO messages (tenant, kind, recipient, subject, body, ticket_id, once, state, ended_at, error)
SELECT %(tenant)s, %(kind)s, %(recipient)s, %(subject)s, %(body)s, %(ticket)s, %(once)s,
       CASE WHEN %(recipient)s = '' THEN 'undeliverable' ELSE 'waiting' END,
       CASE WHEN %(recipient)s = '' THEN now() END,
       CASE WHEN %(recipient)s = '' THEN 'no e-mail address in the contact' ELSE '' END
ON CONFLICT (tenant, once) DO NOTHING
