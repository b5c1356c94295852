-- name: lock
-- A customer, held until the transaction ends.
SELECT id FROM customers WHERE id = %(id)s FOR UPDATE

-- name: open_tickets
-- Tickets of a customer's machines that are not over; a few of them.
SELECT t.device, t.title FROM tickets t JOIN device_files f ON f.device_id = t.device_id
WHERE f.customer_id = %(id)s AND t.state NOT IN ('closed', 'cancelled')
ORDER BY t.opened_at LIMIT %(most)s

-- name: traces
-- What is a customer's own, place by place.
SELECT table_name, column_name, what, why, how_long, key, value FROM customer_data(%(id)s, true)

-- name: logins
-- Whoever of a customer may sign in.
SELECT login FROM users WHERE customer_id = %(id)s AND password_hash <> '' ORDER BY login

-- name: files
-- The files of a customer's tickets that are there.
SELECT a.id, a.ticket_id, a.name, a.kind, a.bytes, encode(a.sha256, 'hex') AS sha256, a.added_at, a.added_by
FROM attachments a JOIN tickets t ON t.id = a.ticket_id JOIN device_files f ON f.device_id = t.device_id
WHERE f.customer_id = %(id)s AND a.removed_at IS NULL
ORDER BY a.added_at, a.id

-- name: papers_kept
-- Of an erased customer: documents that are kept yet, and until when.
SELECT count(*), max(d.issued_at) + make_interval(days => coalesce(max(r.keep_days), %(otherwise)s))
FROM documents d
JOIN tickets t ON t.id = d.ticket_id
JOIN device_files f ON f.device_id = t.device_id
LEFT JOIN retention r ON r.tenant = d.tenant AND r.class = 'papers'
WHERE f.customer_id = %(id)s AND d.customer_erased AND d.removed_at IS NULL

-- name: erase
-- A pseudonym in the place of a customer, everywhere; their own words, files and signatures go.
SELECT erase_customer(%(id)s, %(names)s::text[], %(pseudonym)s, %(note)s, %(all_files)s, %(papers_days)s)
