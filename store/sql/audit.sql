-- name: page
-- A page of acts, newest first, with whom their actors are today.
SELECT a.id, a.at, a.actor, coalesce(u.login, k.name, a.actor) AS who, a.role, a.network, a.via, a.route, a.resource,
       a.subject, coalesce(p.login, '') AS whom, a.action, a.changes, a.seq, a.hash
FROM audit_acts a
LEFT JOIN users u ON a.actor = 'user:' || u.id
LEFT JOIN api_keys k ON a.actor = 'key:' || k.id
LEFT JOIN users p ON a.resource IN ('user', 'session', 'personal_data') AND a.subject = p.id::text
WHERE (%(after)s::bigint IS NULL OR a.id < %(after)s)
  AND (%(who)s::text IS NULL OR a.actor = %(who)s OR a.actor IN (
        SELECT 'user:' || id FROM users WHERE login = %(who)s UNION ALL SELECT 'key:' || id FROM api_keys WHERE name = %(who)s))
  AND (%(resource)s::text IS NULL OR a.resource = %(resource)s)
  AND (%(subject)s::text IS NULL OR a.subject = %(subject)s)
  AND (%(start)s::timestamptz IS NULL OR a.at >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR a.at < %(end)s)
ORDER BY a.id DESC
LIMIT %(limit)s

-- name: resources
-- What the triggers watch, for a filter: from the catalogue, since a look through the log would take long.
SELECT DISTINCT split_part(encode(tgargs, 'escape'), '\000', 1) FROM pg_trigger WHERE tgname = 'audited' AND tgnargs > 0
UNION SELECT unnest(ARRAY['session', 'personal_data', 'rejects', 'audit'])
ORDER BY 1

-- name: note
-- An act that leaves no row of its own.
SELECT note_act(%(resource)s, %(subject)s, %(action)s)

-- name: head
-- The end of a chain, or where it was cut if nothing was sealed since.
SELECT tenant, seq, hash FROM (
    (SELECT tenant, seq, hash FROM audit_acts WHERE tenant = %(tenant)s AND seq IS NOT NULL ORDER BY seq DESC LIMIT 1)
    UNION ALL SELECT tenant, seq, hash FROM audit_anchors WHERE tenant = %(tenant)s
) ends ORDER BY seq DESC LIMIT 1

-- name: chains
-- Whose chains there are: hopping from one to the next, since they are few and their rows are many.
WITH RECURSIVE hop AS (
    SELECT min(tenant) AS tenant FROM audit_acts
    UNION ALL SELECT (SELECT min(a.tenant) FROM audit_acts a WHERE a.tenant > hop.tenant) FROM hop WHERE hop.tenant IS NOT NULL
)
SELECT tenant FROM hop WHERE tenant IS NOT NULL

-- name: may_verify
-- Whether this role sees what a verification needs, of all tenants.
SELECT has_table_privilege('audit_salts', 'SELECT')

-- name: may_look
-- Whether there is a log that this role may read.
SELECT CASE WHEN to_regclass('audit_acts') IS NULL THEN false
            ELSE has_table_privilege('audit_acts', 'SELECT') AND has_table_privilege('audit_anchors', 'SELECT') END

-- name: lock_sealing
-- One sealer at a time, until its transaction ends.
SELECT pg_try_advisory_xact_lock(hashtext('bellwether audit'))

-- name: unsealed
-- What waits for its place.
SELECT id, tenant, at, actor, role, network, via, route, resource, subject, action, changes
FROM audit_acts WHERE seq IS NULL ORDER BY id LIMIT %(most)s

-- name: set_seals
-- Their places in the chain.
UPDATE audit_acts a SET seq = s.seq, hash = s.hash
FROM unnest(%(ids)s::bigint[], %(seqs)s::bigint[], %(hashs)s::bytea[]) AS s (id, seq, hash)
WHERE a.id = s.id

-- name: links
-- A whole chain in its order.
SELECT seq, id, tenant, at, actor, role, network, via, route, resource, subject, action, changes, hash
FROM audit_acts WHERE tenant = %(tenant)s AND seq IS NOT NULL ORDER BY seq

-- name: end_links
-- The rows of a chain from a place on.
SELECT seq, id, tenant, at, actor, role, network, via, route, resource, subject, action, changes, hash
FROM audit_acts WHERE tenant = %(tenant)s AND seq >= %(since)s ORDER BY seq

-- name: anchor
-- Where the chain begins, if its older part was removed.
SELECT seq, hash FROM audit_anchors WHERE tenant = %(tenant)s

-- name: cut_told
-- Whether the log tells of the latest cut; its act may not be sealed yet.
SELECT count(*) > 0 FROM audit_acts
WHERE tenant = %(tenant)s AND resource = 'audit' AND action = 'cut'
  AND changes::jsonb = jsonb_build_object('seq', %(seq)s::bigint, 'hash', %(hash)s::text)

-- name: waiting
-- What is not sealed yet, and since when.
SELECT count(*), min(at) FROM audit_acts WHERE tenant = %(tenant)s AND seq IS NULL

-- name: events_of_tickets
-- The first ticket event that is not what the log says of it; or that the log does not tell of, though it should.
SELECT coalesce(a.seq, 0), CASE WHEN a.id IS NULL THEN 'inserted' WHEN e.id IS NULL THEN 'missing' ELSE 'changed' END,
       coalesce(a.subject, e.ticket_id::text)
FROM (SELECT *, (changes::jsonb ->> 'event')::bigint AS event FROM audit_acts
      WHERE tenant = %(tenant)s AND resource = 'ticket') a
FULL JOIN (SELECT * FROM ticket_events WHERE tenant = %(tenant)s) e ON e.id = a.event
LEFT JOIN audit_salts s ON s.act = a.id
WHERE (a.id IS NULL AND e.id > (SELECT min((changes::jsonb ->> 'event')::bigint) FROM audit_acts
                                WHERE tenant = %(tenant)s AND resource = 'ticket')
                    AND e.at > coalesce((SELECT cut_at FROM audit_anchors WHERE tenant = %(tenant)s), '-infinity'))
   OR (a.id IS NOT NULL AND (e.id IS NULL OR e.kind <> a.action OR e.ticket_id::text <> a.subject
       OR NOT to_jsonb(e) @> (a.changes::jsonb - 'event' - 'words') OR s.act IS NULL
       OR words_digest(s.salt, to_jsonb(e), '{who,note,detail}') <> a.changes::jsonb ->> 'words'))
ORDER BY 1 LIMIT 1

-- name: events_of_alarms
-- The same of alarms.
SELECT coalesce(a.seq, 0), CASE WHEN a.id IS NULL THEN 'inserted' WHEN e.event_id IS NULL THEN 'missing' ELSE 'changed' END,
       coalesce(a.subject, e.occurrence_id::text)
FROM (SELECT *, (changes::jsonb ->> 'event')::uuid AS event FROM audit_acts
      WHERE tenant = %(tenant)s AND resource = 'alarm') a
FULL JOIN (SELECT * FROM alarm_events WHERE tenant = %(tenant)s) e ON e.event_id = a.event
LEFT JOIN audit_salts s ON s.act = a.id
WHERE (a.id IS NULL AND e.recorded_at > (SELECT min(at) FROM audit_acts WHERE tenant = %(tenant)s AND resource = 'alarm')
                    AND e.recorded_at > coalesce((SELECT cut_at FROM audit_anchors WHERE tenant = %(tenant)s), '-infinity'))
   OR (a.id IS NOT NULL AND (e.event_id IS NULL OR e.kind <> a.action OR e.occurrence_id::text <> a.subject
       OR NOT to_jsonb(e) @> (a.changes::jsonb - 'event' - 'words') OR s.act IS NULL
       OR words_digest(s.salt, to_jsonb(e), '{who,note,evidence}') <> a.changes::jsonb ->> 'words'))
ORDER BY 1 LIMIT 1

-- name: erasures
-- How many salts were taken away, by the act that is said to have done it, and how many that act itself speaks of.
SELECT s.erased_by, count(*), max(coalesce((a.changes::jsonb ->> 'salts')::bigint, 0))
FROM audit_salts s
LEFT JOIN audit_acts a ON a.id = s.erased_by AND a.tenant = s.tenant AND a.resource = 'personal_data' AND a.action = 'erased'
WHERE s.tenant = %(tenant)s AND s.erased_by IS NOT NULL
GROUP BY s.erased_by ORDER BY s.erased_by
