-- name: case
-- The ticket and the machine that a document is about.
SELECT t.code, t.title, t.description AS reported, t.opened_at, t.device, d.model, coalesce(f.serial, '') AS serial, d.site,
       coalesce(c.name, '') AS customer, f.warranty_until
FROM tickets t
JOIN devices d ON d.id = t.device_id
LEFT JOIN device_files f ON f.device_id = d.id
LEFT JOIN customers c ON c.id = f.customer_id
WHERE t.id = %(id)s

-- name: names
-- What people are called.
SELECT login, name FROM users WHERE login = ANY(%(logins)s)

-- name: wanted
-- The parts that a ticket has asked for and may still get.
SELECT p.number, p.name, sum(r.quantity)::bigint AS quantity
FROM part_reservations r JOIN parts p ON p.id = r.part_id
WHERE r.ticket_id = %(id)s AND r.state IN ('waiting', 'held', 'issued')
GROUP BY p.number, p.name
ORDER BY p.number
LIMIT %(limit)s

-- name: fitted
-- What was put into a ticket's repair and not brought back.
SELECT p.number, p.name, sum(CASE m.kind WHEN 'issue' THEN m.quantity ELSE -m.quantity END)::bigint AS quantity,
       coalesce(m.serial, '') AS serial, coalesce(max(m.replaces), '') AS replaces
FROM part_moves m JOIN parts p ON p.id = m.part_id
WHERE m.ticket_id = %(id)s AND m.kind IN ('issue', 'unused') AND m.at >= %(since)s
GROUP BY p.number, p.name, m.serial
HAVING sum(CASE m.kind WHEN 'issue' THEN m.quantity ELSE -m.quantity END) > 0
ORDER BY p.number, m.serial
LIMIT %(limit)s

-- name: measured
-- What the alarms of a ticket saw, the last of each point.
SELECT DISTINCT ON (evidence ->> 'point') evidence
FROM (SELECT evidence, since AS at FROM tickets WHERE id = %(id)s
      UNION ALL
      SELECT a.evidence, a.raised_at FROM ticket_alarms j JOIN alarms a ON a.id = j.alarm_id WHERE j.ticket_id = %(id)s) seen
WHERE evidence ->> 'point' <> '' AND jsonb_typeof(evidence -> 'observed') = 'number'
ORDER BY evidence ->> 'point', at DESC
LIMIT %(limit)s

-- name: stages
-- When a ticket first came where, since it was last reopened; and when that was, or it was opened.
SELECT e.to_state AS state, min(e.at) AS at,
       (SELECT coalesce(max(r.at) FILTER (WHERE r.to_state = 'reopened'), min(r.at))
        FROM ticket_events r WHERE r.ticket_id = %(id)s) AS since
FROM ticket_events e
WHERE e.ticket_id = %(id)s AND e.to_state IS NOT NULL
  AND e.id >= coalesce((SELECT max(id) FROM ticket_events r WHERE r.ticket_id = %(id)s AND r.to_state = 'reopened'), 0)
GROUP BY e.to_state

-- name: latest
-- The last version of a document of a ticket's turn.
SELECT number, version FROM documents
WHERE ticket_id = %(id)s AND turn = %(turn)s AND kind = %(kind)s
ORDER BY version DESC LIMIT 1

-- name: version
-- What stands in a version of a document of a ticket.
SELECT content FROM documents WHERE ticket_id = %(id)s AND number = %(number)s AND version = %(version)s

-- name: next_place
-- The next number of a kind in a year; nobody else takes one until this transaction ends.
INSERT INTO document_numbers AS n (tenant, kind, year, last) VALUES (%(tenant)s, %(kind)s, %(year)s, 1)
ON CONFLICT (tenant, kind, year) DO UPDATE SET last = n.last + 1
RETURNING last

-- name: may_mail
-- Whether the tenant has an account to write to customers from.
SELECT EXISTS (SELECT FROM tenant_mail WHERE tenant = %(tenant)s)

-- name: letters
-- What became of the documents of a ticket that were sent: of each the last message.
SELECT DISTINCT ON (m.document_id) m.document_id, m.recipient AS to, m.state, m.ended_at AS at, m.error
FROM messages m JOIN documents d ON d.id = m.document_id
WHERE d.ticket_id = %(id)s
ORDER BY m.document_id, m.id DESC

-- name: keep
-- A version of a document, as it is issued.
INSERT INTO documents (tenant, ticket_id, turn, kind, number, version, issued_at, issued_by, content, salt, sha256)
VALUES (%(tenant)s, %(id)s, %(turn)s, %(kind)s, %(number)s, %(version)s, %(now)s, %(who)s, %(content)s, %(salt)s, %(sha256)s)
RETURNING id

-- name: documents
-- What was issued for a ticket, the newest first.
SELECT id, ticket_id, kind, number, version, issued_at, issued_by, version = max(version) OVER (PARTITION BY number) AS is_latest
FROM documents
WHERE ticket_id = %(id)s
ORDER BY issued_at DESC, kind DESC, version DESC
LIMIT %(limit)s

-- name: documents_of_device
-- What was issued for a machine's tickets last, the latest version of each.
SELECT id, ticket_id, kind, number, version, issued_at, issued_by, true AS is_latest
FROM (SELECT DISTINCT ON (o.number) o.* FROM documents o JOIN tickets t ON t.id = o.ticket_id
      WHERE t.device = %(device)s ORDER BY o.number, o.version DESC) d
ORDER BY issued_at DESC, kind DESC
LIMIT %(limit)s

-- name: document
-- One version of a document of a ticket.
SELECT d.id, d.ticket_id, d.kind, d.number, d.version, d.issued_at, d.issued_by,
       NOT EXISTS (SELECT FROM documents l WHERE l.number = d.number AND l.version > d.version AND l.tenant = d.tenant) AS is_latest,
       d.sha256, d.salt, d.content
FROM documents d
WHERE d.ticket_id = %(ticket)s AND d.id = %(id)s
