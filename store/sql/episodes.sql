-- name: keep
-- How a machine's points moved in a ticket's fault, in place of what was known before.
INSERT INTO episodes (ticket_id, tenant, device_id, kind, since, signature)
VALUES (%(ticket)s, %(tenant)s, %(machine)s, %(kind)s, %(since)s, %(signature)s)
ON CONFLICT (ticket_id) DO UPDATE SET kind = excluded.kind, since = excluded.since, signature = excluded.signature

-- name: signature
-- What is known of one ticket's episode.
SELECT tenant, device_id, kind, since, signature FROM episodes WHERE ticket_id = %(ticket)s

-- name: past
-- Judged episodes of the same kind of machine, the latest first; where the kind is not known, of the same machine.
SELECT e.ticket_id, e.signature
FROM episodes e JOIN tickets t ON t.id = e.ticket_id
WHERE e.tenant = %(tenant)s AND e.kind = %(kind)s AND (e.kind <> '' OR e.device_id = %(machine)s)
  AND e.since < %(before)s AND t.state = 'closed' AND t.verdict IS NOT NULL
ORDER BY e.since DESC
LIMIT %(most)s

-- name: told
-- What became of some episodes: the verdict, the last words of whoever worked on it, when the machine was normal again.
SELECT t.id AS ticket_id, t.device, t.title, t.since, t.closed_at, t.verdict,
       coalesce((SELECT e.note FROM ticket_events e
                 WHERE e.ticket_id = t.id AND e.note <> '' AND e.kind IN ('moved', 'comment')
                 ORDER BY e.to_state IS NOT DISTINCT FROM 'closed' DESC, e.id DESC LIMIT 1), '') AS done,
       (SELECT CASE WHEN NOT bool_or(a.active) THEN max(a.returned_at) END
        FROM ticket_alarms ta JOIN alarms a ON a.id = ta.alarm_id WHERE ta.ticket_id = t.id) AS returned_at
FROM tickets t
WHERE t.id = ANY (%(tickets)s)
