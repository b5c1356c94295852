-- name: lock
-- Hold an alarm while its next state is found: the process may be moving it too.
SELECT state, active, latch, severity, tenant FROM alarms WHERE id = %(id)s FOR UPDATE

-- name: moved
-- Its new state. A shelf is left with all that was said of it.
UPDATE alarms SET state = %(state)s, quiet_because = %(because)s,
                  shelved_until = CASE WHEN %(state)s = 'shelved' THEN shelved_until END,
                  shelved_by = CASE WHEN %(state)s = 'shelved' THEN shelved_by END,
                  shelve_reason = CASE WHEN %(state)s = 'shelved' THEN shelve_reason END
WHERE id = %(id)s

-- name: record
-- A change that a person, the plant's design or time has made.
INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity, who, note)
VALUES (gen_random_uuid(), %(id)s, %(tenant)s, %(at)s, %(kind)s, %(state)s, %(severity)s, %(who)s, %(note)s)

-- name: to_tell
-- An alarm that was quiet, is not any more, stands, and asks for a ticket.
SELECT id, tenant, device, fault, rule, detector, point, severity, since, raised_at, score, message, evidence
FROM alarms
WHERE id = %(id)s AND active AND opens_ticket AND state NOT IN ('shelved', 'suppressed', 'out_of_service')

-- name: tell
-- What the world is told now that nobody was told when it was raised.
INSERT INTO outbox (event_id, tenant, destination, payload) VALUES (%(event_id)s, %(tenant)s, 'tickets', %(payload)s)

-- name: unsettled
-- Alarms that are not where windows, outages and parents have them, and by what they should be quiet. Only what stands
-- is quieted: whoever has to acknowledge a return, or to reset a latch, still has to. A parent that is heard again keeps
-- its children quiet for a moment longer: they are heard after it. A device that hangs on itself in a circle hangs on
-- nothing: else two that are both gone would keep each other quiet.
SELECT a.id, a.state, outage.because AS out_of_service, coalesce(work.because, above.because) AS suppressed
FROM alarms a
JOIN devices d ON d.id = a.device_id
LEFT JOIN LATERAL (
    SELECT o.reason || ' (' || o.taken_by || ')' AS because
    FROM out_of_service o
    WHERE o.tenant = a.tenant AND o.device = a.device AND o.rule = a.rule AND o.point IN ('', a.point)
      AND o.given_back_at IS NULL AND (o.until IS NULL OR o.until > %(now)s)
    ORDER BY o.taken_at LIMIT 1
) outage ON true
LEFT JOIN LATERAL (
    SELECT 'maintenance: ' || w.reason || ' (' || w.made_by || ')' AS because
    FROM maintenance_windows w
    WHERE w.tenant = a.tenant AND (w.device = a.device OR w.site = d.site)
      AND (w.begins_at <= %(now)s AND w.ends_at > %(now)s OR %(raised)s AND w.begins_at <= a.raised_at AND w.ends_at > a.raised_at)
    ORDER BY w.ends_at DESC LIMIT 1
) work ON true
LEFT JOIN LATERAL (
    WITH RECURSIVE ancestors (id, device, parent, gateway, depth) AS (
        SELECT p.id, p.device, p.parent, p.gateway, 1
        FROM devices p
        WHERE p.tenant = d.tenant AND p.device IN (d.parent, d.gateway) AND p.id <> d.id
        UNION
        SELECT p.id, p.device, p.parent, p.gateway, ancestors.depth + 1
        FROM ancestors JOIN devices p ON p.tenant = d.tenant AND p.device IN (ancestors.parent, ancestors.gateway)
        WHERE ancestors.depth < 8 AND p.id <> ancestors.id
    )
    SELECT ancestors.device || ', which it hangs on, is silent' AS because
    FROM ancestors
    JOIN alarms theirs ON theirs.device_id = ancestors.id AND theirs.detector IN ('silence', 'site')
     AND theirs.raised_at > %(now)s - interval '400 days'
     AND (theirs.active OR theirs.returned_at > %(now)s - %(grace)s::interval)
    WHERE NOT EXISTS (SELECT FROM ancestors self WHERE self.id = d.id)
    ORDER BY ancestors.depth, theirs.raised_at DESC LIMIT 1
) above ON a.quiet_with_parent
WHERE a.state NOT IN ('normal', 'shelved') AND (a.active OR a.state IN ('suppressed', 'out_of_service'))
  AND (%(id)s::uuid IS NULL OR a.id = %(id)s)
  AND CASE a.state WHEN 'out_of_service' THEN outage.because IS NULL
                   WHEN 'suppressed' THEN coalesce(work.because, above.because) IS NULL
                   ELSE coalesce(outage.because, work.because, above.because) IS NOT NULL END
ORDER BY a.id
FOR UPDATE OF a SKIP LOCKED

-- name: shelf_times_up
-- Alarms whose time on the shelf is over.
SELECT id FROM alarms WHERE state = 'shelved' AND shelved_until <= %(now)s
ORDER BY id
FOR UPDATE SKIP LOCKED
