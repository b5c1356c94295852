-- name: tickets
-- A page of tickets, newest first.
SELECT id, code, device, fault, source, title, description, state, held_from, verdict, priority, level, assignee,
       leading_point, since, opened_at, updated_at, closed_at, evidence
FROM tickets
WHERE (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
  AND (%(priorities)s::text[] IS NULL OR priority = ANY(%(priorities)s))
  AND (%(assignee)s::text IS NULL OR assignee = %(assignee)s)
  AND (%(is_open)s::boolean IS NULL OR (state NOT IN ('closed', 'cancelled')) = %(is_open)s)
  AND (%(after_at)s::timestamptz IS NULL OR (opened_at, id) < (%(after_at)s, %(after_id)s))
ORDER BY opened_at DESC, id DESC
LIMIT %(limit)s

-- name: ticket
-- One ticket.
SELECT id, code, device, fault, source, title, description, state, held_from, verdict, priority, level, assignee,
       leading_point, since, opened_at, updated_at, closed_at, evidence
FROM tickets
WHERE id = %(id)s

-- name: lock
-- Hold a ticket until the transaction ends: whatever follows rests on the state that is read here.
SELECT id, code, device, fault, source, title, description, state, held_from, verdict, priority, level, assignee,
       leading_point, since, opened_at, updated_at, closed_at, evidence
FROM tickets
WHERE id = %(id)s
FOR UPDATE

-- name: events
-- What happened to one ticket, in order.
SELECT id, event_id, at, kind, who, from_state, to_state, note, detail
FROM ticket_events
WHERE ticket_id = %(id)s
ORDER BY id

-- name: clocks
-- Every clock that a ticket has had, the oldest first.
SELECT clock, started_at, due_at, warn_at, paused_at, stopped_at, warned_at, breached_at
FROM ticket_clocks
WHERE ticket_id = %(id)s
ORDER BY started_at, clock

-- name: clocks_of
-- The present clocks of some tickets.
SELECT DISTINCT ON (ticket_id, clock)
       ticket_id, clock, started_at, due_at, warn_at, paused_at, stopped_at, warned_at, breached_at
FROM ticket_clocks
WHERE ticket_id = ANY(%(ids)s)
ORDER BY ticket_id, clock, started_at DESC

-- name: alarms_of
-- The alarms that belong to one ticket, the first first.
SELECT a.id, a.point, a.detector, a.severity, a.state, a.active, a.raised_at, a.returned_at, a.message
FROM ticket_alarms ta JOIN alarms a ON a.id = ta.alarm_id
WHERE ta.ticket_id = %(id)s
ORDER BY a.raised_at, a.id

-- name: track
-- A ticket by its code, for whoever holds the code.
SELECT code, device, title, state, priority, opened_at, updated_at, closed_at, steps FROM ticket_of_code(%(code)s)

-- name: machine
-- The machine that a ticket is about.
SELECT id FROM devices WHERE device = %(device)s

-- name: holder_of_event
-- The ticket that has taken this alarm event already, and what it did then.
SELECT ticket_id, kind FROM ticket_events WHERE event_id = %(event_id)s

-- name: lock_open
-- The open ticket of a machine and fault, held.
SELECT id FROM tickets
WHERE device_id = %(device_id)s AND fault = %(fault)s AND state NOT IN ('closed', 'cancelled')
FOR UPDATE

-- name: lock_closed
-- The latest ticket of a machine and fault that closed since then, held. One that was reopened while we waited for it
-- no longer matches, and no row comes back.
SELECT id FROM tickets
WHERE device_id = %(device_id)s AND fault = %(fault)s AND state = 'closed' AND closed_at > %(closed_since)s
ORDER BY closed_at DESC
LIMIT 1
FOR UPDATE

-- name: open
-- A new ticket, unless there is an open one: the index decides, not a look beforehand.
INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, description, state, priority, level,
                     leading_point, since, opened_at, updated_at, evidence)
VALUES (%(tenant)s, %(code)s, %(device_id)s, %(device)s, %(fault)s, %(source)s, %(title)s, %(description)s, 'new',
        %(priority)s, %(level)s, %(leading_point)s, %(since)s, %(now)s, %(now)s, %(evidence)s)
ON CONFLICT (tenant, device_id, fault) WHERE state NOT IN ('closed', 'cancelled') DO NOTHING
RETURNING id

-- name: reopen
-- The fault is back.
UPDATE tickets
SET state = 'reopened', held_from = NULL, verdict = NULL, closed_at = NULL, updated_at = %(now)s
WHERE id = %(id)s

-- name: raise
-- A worse alarm leads.
UPDATE tickets
SET priority = %(priority)s, level = %(level)s, leading_point = %(leading_point)s, evidence = %(evidence)s
WHERE id = %(id)s

-- name: touch
-- Something was added.
UPDATE tickets SET updated_at = %(now)s WHERE id = %(id)s

-- name: moved
-- A ticket after a move.
UPDATE tickets
SET state = %(state)s, held_from = %(held_from)s, verdict = %(verdict)s, assignee = %(assignee)s,
    updated_at = %(now)s, closed_at = %(closed_at)s
WHERE id = %(id)s

-- name: record
-- One event of a ticket; an alarm event is taken once in all.
INSERT INTO ticket_events (ticket_id, tenant, event_id, at, kind, who, from_state, to_state, note, detail)
VALUES (%(id)s, %(tenant)s, %(event_id)s, %(at)s, %(kind)s, %(who)s, %(from_state)s, %(to_state)s, %(note)s, %(detail)s)
ON CONFLICT (tenant, event_id) WHERE event_id IS NOT NULL DO NOTHING
RETURNING id

-- name: link
-- The alarm belongs to the ticket. An alarm from elsewhere, which is not among ours, leaves its event alone.
INSERT INTO ticket_alarms (ticket_id, alarm_id, tenant, added_at)
SELECT %(id)s, a.id, a.tenant, %(now)s FROM alarms a WHERE a.id = %(alarm_id)s
ON CONFLICT DO NOTHING

-- name: set_clock
-- A clock as it now is.
INSERT INTO ticket_clocks (ticket_id, clock, tenant, started_at, due_at, warn_at, paused_at, stopped_at, warned_at,
                           breached_at)
VALUES (%(id)s, %(clock)s, %(tenant)s, %(started_at)s, %(due_at)s, %(warn_at)s, %(paused_at)s, %(stopped_at)s,
        %(warned_at)s, %(breached_at)s)
ON CONFLICT (ticket_id, clock, started_at) DO UPDATE
SET due_at = excluded.due_at, warn_at = excluded.warn_at, paused_at = excluded.paused_at,
    stopped_at = excluded.stopped_at, warned_at = excluded.warned_at, breached_at = excluded.breached_at

-- name: is_assignable
-- Whether there is such a person to send.
SELECT EXISTS (SELECT FROM users WHERE login = %(login)s AND disabled_at IS NULL AND role <> 'owner')
