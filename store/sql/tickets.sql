-- name: tickets
-- A page of tickets, newest first.
SELECT id, code, device, fault, source, title, description, state, held_from, verdict, priority, level, assignee,
       fault_class, nature, service, turn, leading_point, since, opened_at, updated_at, closed_at, evidence
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
       fault_class, nature, service, turn, leading_point, since, opened_at, updated_at, closed_at, evidence
FROM tickets
WHERE id = %(id)s

-- name: lock
-- Hold a ticket until the transaction ends: whatever follows rests on the state that is read here. Its key stays free:
-- who writes a line into its story, as one who takes a part that was held for it, need not wait.
SELECT id, code, device, fault, source, title, description, state, held_from, verdict, priority, level, assignee,
       fault_class, nature, service, turn, leading_point, since, opened_at, updated_at, closed_at, evidence
FROM tickets
WHERE id = %(id)s
FOR NO KEY UPDATE

-- name: events
-- What happened to one ticket, in order.
SELECT id, event_id, at, kind, who, from_state, to_state, note, detail
FROM ticket_events
WHERE ticket_id = %(id)s
ORDER BY id

-- name: clocks
-- Every clock that a ticket has had, the oldest first.
SELECT clock, started_at, due_at, warn_at, paused_at, stopped_at, warned_at, breached_at, level, terms
FROM ticket_clocks
WHERE ticket_id = %(id)s
ORDER BY started_at, clock

-- name: clocks_of
-- The present clocks of some tickets.
SELECT DISTINCT ON (ticket_id, clock)
       ticket_id, clock, started_at, due_at, warn_at, paused_at, stopped_at, warned_at, breached_at, level, terms
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
SELECT code, device, title, state, priority, opened_at, updated_at, closed_at, steps, quote, answer, appointment, sent_back
FROM ticket_of_code(%(code)s)

-- name: machine
-- The machine that a ticket is about, how much it matters and whose it is.
SELECT d.id, coalesce(f.criticality, 'B') AS criticality, coalesce(c.tier, 'regular') AS tier,
       coalesce(f.is_safety_equipment, false) AS is_safety_equipment
FROM devices d
LEFT JOIN device_files f ON f.device_id = d.id
LEFT JOIN customers c ON c.id = f.customer_id
WHERE d.device = %(device)s AND is_for_owner(customer_of_device(d.id))

-- name: holder_of_event
-- The ticket that has taken this alarm event already, and what it did then.
SELECT ticket_id, kind FROM ticket_events WHERE event_id = %(event_id)s

-- name: lock_open
-- The open ticket of a machine and fault, held.
SELECT id FROM tickets
WHERE device_id = %(device_id)s AND fault = %(fault)s AND state NOT IN ('closed', 'cancelled')
FOR NO KEY UPDATE

-- name: lock_closed
-- The latest ticket of a machine and fault that closed since then, held. One that was reopened while we waited for it
-- no longer matches, and no row comes back.
SELECT id FROM tickets
WHERE device_id = %(device_id)s AND fault = %(fault)s AND state = 'closed' AND closed_at > %(closed_since)s
ORDER BY closed_at DESC
LIMIT 1
FOR NO KEY UPDATE

-- name: open
-- A new ticket, unless there is an open one: the index decides, not a look beforehand.
INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, description, state, priority, level,
                     fault_class, nature, service, leading_point, since, opened_at, updated_at, evidence)
VALUES (%(tenant)s, %(code)s, %(device_id)s, %(device)s, %(fault)s, %(source)s, %(title)s, %(description)s, 'new',
        %(priority)s, %(level)s, %(fault_class)s, %(nature)s, %(service)s, %(leading_point)s, %(since)s, %(now)s, %(now)s,
        %(evidence)s)
ON CONFLICT (tenant, device_id, fault) WHERE state NOT IN ('closed', 'cancelled') DO NOTHING
RETURNING id

-- name: reopen
-- The fault is back.
UPDATE tickets
SET state = 'reopened', held_from = NULL, verdict = NULL, closed_at = NULL, turn = turn + 1, updated_at = %(now)s
WHERE id = %(id)s

-- name: raise
-- A worse alarm leads.
UPDATE tickets
SET priority = %(priority)s, level = %(level)s, fault_class = %(fault_class)s, leading_point = %(leading_point)s,
    evidence = %(evidence)s
WHERE id = %(id)s

-- name: probable
-- What a ticket's diagnosis names first, if it is likely enough, and how long one may wait with it.
SELECT suspects -> 0 ->> 'name', suspects -> 0 ->> 'urgency'
FROM diagnoses
WHERE ticket_id = %(id)s AND (suspects -> 0 ->> 'probability')::float8 >= %(least)s

-- name: touch
-- Something was added.
UPDATE tickets SET updated_at = %(now)s WHERE id = %(id)s

-- name: moved
-- A ticket after a move.
UPDATE tickets
SET state = %(state)s, held_from = %(held_from)s, verdict = %(verdict)s, assignee = %(assignee)s,
    service = %(service)s, turn = %(turn)s, updated_at = %(now)s, closed_at = %(closed_at)s
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
                           breached_at, level, terms)
VALUES (%(id)s, %(clock)s, %(tenant)s, %(started_at)s, %(due_at)s, %(warn_at)s, %(paused_at)s, %(stopped_at)s,
        %(warned_at)s, %(breached_at)s, %(level)s, %(terms)s)
ON CONFLICT (ticket_id, clock, started_at) DO UPDATE
SET due_at = excluded.due_at, warn_at = excluded.warn_at, paused_at = excluded.paused_at,
    stopped_at = excluded.stopped_at, warned_at = excluded.warned_at, breached_at = excluded.breached_at,
    level = excluded.level, terms = excluded.terms

-- name: begin_pause
-- A ticket waits from now on: why, and who said so.
INSERT INTO ticket_pauses (ticket_id, tenant, reason, label, note, paused_at, paused_by)
VALUES (%(id)s, %(tenant)s, %(reason)s, %(label)s, %(note)s, %(now)s, %(who)s)

-- name: end_pause
-- It waits no longer.
UPDATE ticket_pauses SET resumed_at = %(now)s, resumed_by = %(who)s WHERE ticket_id = %(id)s AND resumed_at IS NULL

-- name: pauses
-- When and why one ticket waited, in order.
SELECT reason, label, note, paused_at, paused_by, resumed_at, resumed_by
FROM ticket_pauses
WHERE ticket_id = %(id)s
ORDER BY id

-- name: ring_warnings
-- Clocks that have come to their warning, each once, told to whoever has the ticket and to the desk. A ticket that
-- somebody is moving is left for the next time: its clocks are written as they were found.
WITH free AS (
    SELECT id FROM tickets
    WHERE id IN (SELECT ticket_id FROM ticket_clocks
                 WHERE warn_at <= %(now)s AND warned_at IS NULL AND stopped_at IS NULL AND paused_at IS NULL)
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
), due AS (
    UPDATE ticket_clocks SET warned_at = %(now)s
    FROM free
    WHERE ticket_id = free.id AND warn_at <= %(now)s AND warned_at IS NULL AND stopped_at IS NULL AND paused_at IS NULL
    RETURNING ticket_id, tenant, clock, due_at
)
INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, detail)
SELECT ticket_id, tenant, %(now)s, 'clock_warned', 'bellwether',
       jsonb_build_object('clock', clock, 'due_at', due_at, 'to', %(to)s::text[]) FROM due

-- name: ring_breaches
-- Clocks that have run out, each once: escalated to the managers.
WITH free AS (
    SELECT id FROM tickets
    WHERE id IN (SELECT ticket_id FROM ticket_clocks
                 WHERE due_at < %(now)s AND breached_at IS NULL AND stopped_at IS NULL AND paused_at IS NULL)
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
), due AS (
    UPDATE ticket_clocks SET breached_at = due_at
    FROM free
    WHERE ticket_id = free.id AND due_at < %(now)s AND breached_at IS NULL AND stopped_at IS NULL AND paused_at IS NULL
    RETURNING ticket_id, tenant, clock, due_at
)
INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, detail)
SELECT ticket_id, tenant, %(now)s, 'clock_breached', 'bellwether',
       jsonb_build_object('clock', clock, 'due_at', due_at, 'to', %(to)s::text[]) FROM due

-- name: is_assignable
-- Whether there is such a person to send.
SELECT EXISTS (SELECT FROM users WHERE login = %(login)s AND disabled_at IS NULL
               AND role NOT IN ('owner', 'depot', 'expert', 'inspector'))
