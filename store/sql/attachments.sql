-- name: hold_budget
-- One upload of a tenant at a time is counted: two at once would each fit, and together not.
SELECT pg_advisory_xact_lock(hashtextextended('attachments ' || %(tenant)s, 0))

-- name: used
-- How much is kept: of the ticket, of the tenant, whose pictures of procedures are in the same budget.
SELECT coalesce(sum(bytes) FILTER (WHERE ticket_id = %(ticket_id)s), 0)::bigint,
       (coalesce(sum(bytes), 0) + (SELECT coalesce(sum(bytes), 0) FROM procedure_pictures WHERE tenant = %(tenant)s))::bigint
FROM attachments
WHERE tenant = %(tenant)s AND removed_at IS NULL

-- name: same
-- The very same file, which the ticket has already.
SELECT id FROM attachments WHERE ticket_id = %(ticket_id)s AND sha256 = %(sha256)s AND removed_at IS NULL

-- name: add
-- A file of a ticket; its content follows in pieces.
INSERT INTO attachments (tenant, ticket_id, name, kind, shows, bytes, sha256, added_at, added_by)
VALUES (%(tenant)s, %(ticket_id)s, %(name)s, %(kind)s, %(shows)s, %(length)s, %(sha256)s, %(now)s, %(who)s)
RETURNING id

-- name: add_piece
-- One piece of its content.
INSERT INTO attachment_pieces (attachment_id, place, tenant, content)
VALUES (%(id)s, %(place)s, %(tenant)s, %(content)s)

-- name: attachments
-- The files of a ticket, the first first; those that were taken out too.
SELECT id, ticket_id, name, kind, shows, bytes, encode(sha256, 'hex') AS sha256, added_at, added_by, removed_at, removed_by
FROM attachments
WHERE ticket_id = %(ticket_id)s
ORDER BY added_at, id

-- name: attachment
-- One file of a ticket.
SELECT id, ticket_id, name, kind, shows, bytes, encode(sha256, 'hex') AS sha256, added_at, added_by, removed_at, removed_by
FROM attachments
WHERE ticket_id = %(ticket_id)s AND id = %(id)s

-- name: piece
-- One piece of a file that is there.
SELECT p.content
FROM attachment_pieces p JOIN attachments a ON a.id = p.attachment_id
WHERE a.ticket_id = %(ticket_id)s AND a.id = %(id)s AND p.place = %(place)s

-- name: remove
-- The file is taken out: who and when stays.
UPDATE attachments SET removed_at = %(now)s, removed_by = %(who)s
WHERE ticket_id = %(ticket_id)s AND id = %(id)s AND removed_at IS NULL
RETURNING name

-- name: remove_pieces
-- And so goes its content.
DELETE FROM attachment_pieces WHERE attachment_id = %(id)s

-- name: expire
-- Files of tickets that ended so long ago that their tenant keeps them no longer; some at a time.
WITH over AS (
    UPDATE attachments SET removed_at = now(), removed_by = 'bellwether'
    WHERE id IN (
        SELECT a.id
        FROM attachments a
        JOIN tickets t ON t.id = a.ticket_id
        JOIN retention r ON r.tenant = a.tenant AND r.class = 'files'
        WHERE a.removed_at IS NULL AND t.state IN ('closed', 'cancelled')
          AND t.updated_at < now() - make_interval(days => r.keep_days)
        LIMIT %(most)s
    )
    RETURNING id
), gone AS (
    DELETE FROM attachment_pieces WHERE attachment_id IN (SELECT id FROM over)
)
SELECT count(*) FROM over
