-- name: queue_for_customer
-- A message to a customer, unless the same was queued before. Without an address it is undeliverable at once, and seen.
INSERT INTO messages (tenant, kind, recipient, subject, body, ticket_id, document_id, once, state, ended_at, error)
SELECT %(tenant)s, %(kind)s, %(recipient)s, %(subject)s, %(body)s, %(ticket)s, %(document)s, %(once)s,
       CASE WHEN %(recipient)s = '' THEN 'undeliverable' ELSE 'waiting' END,
       CASE WHEN %(recipient)s = '' THEN now() END,
       CASE WHEN %(recipient)s = '' THEN 'no e-mail address in the contact' ELSE '' END
ON CONFLICT (tenant, once) DO NOTHING

-- name: try_out
-- A message for which nothing has happened, to one channel.
INSERT INTO messages (tenant, kind, login, channel_id, channel, subject, body, asked_by)
SELECT tenant, 'channel.test', login, id, name, %(subject)s, %(body)s, login
FROM person_channels WHERE id = %(channel)s AND login = %(login)s
RETURNING id

-- name: page
-- Messages, the newest first.
SELECT m.id, m.kind, m.login, m.recipient, m.channel, m.urgent, m.subject, m.body, m.alarm_id, m.ticket_id, m.escalation_id,
       m.round, m.step, m.asked_by, m.queued_at, m.state, m.attempts,
       CASE WHEN m.state = 'waiting' THEN m.next_attempt_at END AS next_attempt_at, m.ended_at, m.took_ms, m.error, m.settled_at,
       m.settled_by, coalesce(nullif(m.page, ''), '/alarms/' || m.alarm_id, '/tickets/' || m.ticket_id, '') AS page
FROM messages m
WHERE (%(id)s::bigint IS NULL OR m.id = %(id)s)
  AND (%(state)s::text IS NULL OR m.state = %(state)s)
  AND (NOT %(unseen)s OR m.settled_at IS NULL AND m.state = 'undeliverable')
  AND (%(login)s::text IS NULL OR m.login = %(login)s)
  AND (%(alarm)s::uuid IS NULL OR m.alarm_id = %(alarm)s)
  AND (%(ticket)s::uuid IS NULL OR m.ticket_id = %(ticket)s)
  AND (%(after)s::bigint IS NULL OR m.id < %(after)s)
ORDER BY m.id DESC
LIMIT %(limit)s

-- name: count_unseen
-- What did not arrive, and nobody has looked at.
SELECT count(*) FROM messages WHERE state = 'undeliverable' AND settled_at IS NULL

-- name: settle
-- Somebody has seen what did not arrive; the same may be queued again, but for what a customer is told once: who waits for
-- their answer finds it by its key.
UPDATE messages SET settled_at = now(), settled_by = %(who)s, once = CASE WHEN recipient <> '' THEN once END
WHERE state = 'undeliverable' AND settled_at IS NULL AND (%(id)s::bigint IS NULL OR id = %(id)s)

-- name: give_up_key
-- The key of a message that another takes the place of.
UPDATE messages m SET once = NULL FROM (SELECT id, once FROM messages WHERE id = %(id)s FOR UPDATE) before
WHERE m.id = before.id
RETURNING before.once

-- name: again
-- Another message in the place of one that did not arrive.
INSERT INTO messages (tenant, kind, login, recipient, channel_id, channel, urgent, subject, body, alarm_id, ticket_id, page,
                      document_id, asked_by, once)
SELECT tenant, kind, login, recipient, channel_id, channel, urgent, subject, body, alarm_id, ticket_id, page, document_id, %(who)s,
       %(once)s
FROM messages WHERE id = %(id)s
RETURNING id

-- name: queue_for_person
-- A message of a chain's to one channel, or to nobody: then it is undeliverable, and says why.
INSERT INTO messages (tenant, kind, login, channel_id, channel, urgent, subject, body, alarm_id, ticket_id, escalation_id, round,
                      step, page, once, next_attempt_at, state, ended_at, error)
VALUES (%(tenant)s, %(kind)s, %(login)s, %(channel_id)s, %(channel)s, %(urgent)s, %(subject)s, %(body)s, %(alarm_id)s,
        %(ticket_id)s, %(escalation)s, %(round)s, %(step)s, %(page)s, %(once)s, coalesce(%(held_until)s, now()),
        CASE WHEN %(error)s = '' THEN 'waiting' ELSE 'undeliverable' END,
        CASE WHEN %(error)s <> '' THEN now() END, %(error)s)
ON CONFLICT (tenant, once) DO NOTHING

-- name: people
-- Whom a login or a role names, and through what each is reached; without a channel a line all the same.
SELECT u.login, c.id, c.name
FROM users u LEFT JOIN person_channels c ON c.tenant = u.tenant AND c.login = u.login AND c.enabled
WHERE u.tenant = %(tenant)s AND u.disabled_at IS NULL AND (u.login = %(login)s OR u.role = %(role)s)
ORDER BY u.login, c.made_at
LIMIT %(limit)s

-- name: claim
-- What is due, leased: who dies with it gives it back when the lease is over. Of a channel the first, of a busy one none.
WITH due AS (
    SELECT m.id FROM messages m
    WHERE m.state = 'waiting' AND m.next_attempt_at <= now() AND m.id <> ALL(%(busy)s)
      AND (m.channel_id IS NULL OR m.channel_id <> ALL(%(busy_channels)s))
      AND NOT EXISTS (SELECT FROM messages f
                      WHERE f.channel_id = m.channel_id AND f.state = 'waiting' AND f.next_attempt_at <= now()
                        AND (f.next_attempt_at, f.id) < (m.next_attempt_at, m.id))
    ORDER BY m.next_attempt_at, m.id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE messages m SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => %(lease_s)s)
    FROM due WHERE m.id = due.id
    RETURNING m.*
)
SELECT t.id, t.tenant, t.kind, t.login, t.recipient, t.channel_id, t.urgent, t.subject, t.body, t.escalation_id, t.attempts,
       coalesce(nullif(t.page, ''), '/alarms/' || t.alarm_id, '/tickets/' || t.ticket_id, '') AS page,
       page_address(t.tenant) AS address,
       c.address AS channel_address, m.address AS mail_address,
       d.number, d.version, d.issued_at, d.content, d.salt IS NOT NULL AS is_as_issued
FROM taken t
LEFT JOIN documents d ON d.id = t.document_id
LEFT JOIN person_channels c ON c.id = t.channel_id AND c.enabled
LEFT JOIN tenant_mail m ON m.tenant = t.tenant AND t.login = ''
ORDER BY t.id

-- name: hold
-- It waits for the end of quiet hours: that was no attempt.
UPDATE messages SET attempts = attempts - 1, next_attempt_at = %(until)s WHERE id = %(id)s AND state = 'waiting'

-- name: sent
-- It went through; what it brought is in its ticket's story.
WITH done AS (
    UPDATE messages SET state = 'sent', ended_at = now(), took_ms = %(took_ms)s, error = ''
    WHERE id = %(id)s AND state = 'waiting'
    RETURNING tenant, ticket_id, document_id, recipient
)
INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, detail)
SELECT m.ticket_id, m.tenant, now(), 'document_sent', 'bellwether',
       jsonb_build_object('document', d.kind, 'number', d.number, 'version', d.version, 'to', m.recipient)
FROM done m JOIN documents d ON d.id = m.document_id

-- name: failed
-- It did not go through, and may yet.
UPDATE messages SET next_attempt_at = now() + make_interval(secs => %(in_s)s), took_ms = %(took_ms)s, error = %(error)s
WHERE id = %(id)s AND state = 'waiting'

-- name: give_up
-- It is not to be delivered, or was tried for long enough.
UPDATE messages SET state = 'undeliverable', ended_at = now(), error = %(error)s
WHERE id = %(id)s AND state = 'waiting' AND (%(lasting)s OR queued_at < now() - make_interval(secs => %(most_s)s))
RETURNING id

-- name: forget
-- What has ended is kept as long as its tenant says.
DELETE FROM messages m
WHERE m.ended_at < now() - make_interval(days => coalesce(
    (SELECT r.keep_days FROM retention r WHERE r.tenant = m.tenant AND r.class = 'messages'), %(otherwise)s))

-- name: forget_escalations
-- Ways along the chain that no message speaks of any more.
DELETE FROM escalations e
WHERE e.ended_at < now() - INTERVAL '90 days' AND NOT EXISTS (SELECT FROM messages m WHERE m.escalation_id = e.id)
