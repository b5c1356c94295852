-- name: to_look
-- Machines whose turn it is, those never looked at first: by the clock, or since a ticket of their plan has changed, or since
-- their plan has.
SELECT p.id, d.id, d.tenant
FROM plans p
JOIN devices d ON d.tenant = p.tenant AND d.retired_at IS NULL AND (d.device = p.device OR d.model = p.model OR d.site = p.site)
LEFT JOIN plan_rounds r ON r.plan_id = p.id AND r.device_id = d.id
WHERE p.ended_at IS NULL
  AND (r.plan_id IS NULL OR r.look_at <= %(now)s OR p.changed_at > r.looked_at
       OR EXISTS (SELECT FROM plan_occurrences o JOIN tickets t ON t.id = o.ticket_id
                  WHERE o.plan_id = p.id AND o.device_id = d.id AND t.updated_at > r.looked_at))
ORDER BY r.look_at NULLS FIRST
LIMIT %(limit)s

-- name: begin
-- A machine that a plan reaches from now on.
INSERT INTO plan_rounds (plan_id, device_id, tenant, looked_at, look_at, since, taken, counted_at)
SELECT p.id, %(device)s, p.tenant, p.made_at, %(now)s, p.made_at, p.made_at, p.made_at FROM plans p WHERE p.id = %(plan)s
ON CONFLICT DO NOTHING

-- name: lock
-- How a machine stands to a plan, held; with the plan. Nothing where somebody else has it in hand, or the plan has ended.
SELECT r.looked_at, r.look_at, r.since, r.times, r.in_a_row, r.taken, r.counts, r.counted_at, r.shown, r.used, r.per_day, r.known_days,
       p.tenant, p.trigger, p.lead_days, p.healthy_from, p.put_off_most, p.changed_at
FROM plan_rounds r JOIN plans p ON p.id = r.plan_id
WHERE r.plan_id = %(plan)s AND r.device_id = %(device)s AND p.ended_at IS NULL
FOR UPDATE OF r SKIP LOCKED

-- name: ended
-- When the work was last done, when a ticket of it last ended otherwise, and whether one is to be done, or on its way. Done
-- is what was handed over, though its ticket be open still; since it was reopened, where it was.
SELECT max(done.at), max(t.closed_at) FILTER (WHERE t.state = 'cancelled'),
       coalesce(bool_or(o.outcome = 'opening' OR (t.state <> 'cancelled' AND done.at IS NULL)), false)
FROM plan_occurrences o
LEFT JOIN tickets t ON t.id = o.ticket_id
LEFT JOIN LATERAL (
    SELECT min(e.at) AS at FROM ticket_events e
    WHERE e.ticket_id = t.id AND t.state IN ('handed_over', 'follow_up', 'closed')
      AND e.to_state IN ('handed_over', 'follow_up', 'closed')
      AND e.id > coalesce((SELECT max(id) FROM ticket_events WHERE ticket_id = t.id AND to_state = 'reopened'), 0)
) done ON true
WHERE o.plan_id = %(plan)s AND o.device_id = %(device)s

-- name: terms
-- The terms of a tenant in force.
SELECT terms, version FROM terms WHERE tenant = %(tenant)s ORDER BY version DESC LIMIT 1

-- name: shown_by_point
-- What a counter showed at the end of each hour since one, and its unit; the hour of the last look among them.
SELECT r.bucket + INTERVAL '1 hour', r.last, s.unit
FROM streams s JOIN readings_1h r ON r.stream_id = s.id
WHERE s.device_id = %(device)s AND s.point = %(point)s AND r.bucket >= %(since)s::timestamptz - INTERVAL '1 hour'
  AND r.bucket + INTERVAL '1 hour' <= %(now)s
ORDER BY 1

-- name: shown_by_modes
-- What a machine has run in h, and how often it was started, as its modes tell; the stretch under way up to when it was heard.
SELECT (u.ran_s + CASE WHEN is_running(d.mode)
                       THEN greatest(0, extract(epoch FROM least(%(now)s, p.heard_at) - d.mode_since)) ELSE 0 END) / 3600,
       u.starts
FROM machine_usage u
JOIN devices d ON d.id = u.device_id
LEFT JOIN device_presence p ON p.device_id = d.id
WHERE u.device_id = %(device)s AND d.mode NOT IN ('', 'unknown')

-- name: hours_of_point
-- The means of a point by the hour.
SELECT r.bucket, r.mean
FROM streams s JOIN readings_1h r ON r.stream_id = s.id
WHERE s.device_id = %(device)s AND s.point = %(point)s AND r.bucket >= %(since)s AND r.bucket < %(now)s
ORDER BY 1

-- name: hours_of_health
-- A machine's health by the hour in which it ran.
SELECT hour, health FROM health WHERE device_id = %(device)s AND hour >= %(since)s AND hour < %(now)s ORDER BY hour

-- name: health
-- A machine's health in the newest hour of the last days that is known.
SELECT health FROM health WHERE device_id = %(device)s AND hour > %(now)s - INTERVAL '2 days' AND hour <= %(now)s
ORDER BY hour DESC LIMIT 1

-- name: risk
-- What was said last of how a machine fails, if it still holds; days count from the end of the hour.
SELECT p_fail_30, hour + INTERVAL '1 hour' + make_interval(secs => days[2] * 86400), abstains
FROM prognoses WHERE device_id = %(device)s AND hour > %(now)s - INTERVAL '2 days' AND hour <= %(now)s
ORDER BY hour DESC LIMIT 1

-- name: fell_due
-- It falls due: the next number, which is given once.
INSERT INTO plan_occurrences (plan_id, device_id, number, tenant, found_at, due_at, why, outcome)
SELECT %(plan)s, %(device)s, coalesce(max(number), 0) + 1, %(tenant)s, %(now)s, %(due_at)s, %(why)s, %(outcome)s
FROM plan_occurrences WHERE plan_id = %(plan)s AND device_id = %(device)s
RETURNING number

-- name: send
-- What fell due is carried to where tickets are opened; the same is sent once.
INSERT INTO outbox (event_id, tenant, destination, payload)
SELECT %(event)s, d.tenant, 'plans', jsonb_build_object('plan_id', %(plan)s::text, 'device', d.device, 'number', %(number)s::int)
FROM devices d WHERE d.id = %(device)s
ON CONFLICT DO NOTHING

-- name: keep
-- How it stands now.
UPDATE plan_rounds
SET looked_at = %(now)s, look_at = %(look_at)s, since = %(since)s, times = %(times)s, in_a_row = %(in_a_row)s,
    taken = %(taken)s, counts = %(counts)s, counted_at = %(counted_at)s, shown = %(shown)s, used = %(used)s, per_day = %(per_day)s,
    known_days = %(known_days)s, beyond_h = %(beyond_h)s, p_fail = %(p_fail)s, fails_by = %(fails_by)s,
    silent = %(silent)s, health = %(health)s
WHERE plan_id = %(plan)s AND device_id = %(device)s

-- name: postpone
-- One that could not be looked at is looked at later.
UPDATE plan_rounds SET looked_at = %(now)s, look_at = %(look_at)s WHERE plan_id = %(plan)s AND device_id = %(device)s
