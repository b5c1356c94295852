-- name: ask
-- A trial is asked for; who would be there for its alarms is as of now.
INSERT INTO rule_trials (tenant, rule_id, content, rule, days, devices, people, engineers, asked_at, asked_by)
VALUES (%(tenant)s, %(rule_id)s, %(content)s, %(rule)s, %(days)s, %(devices)s, %(people)s, %(engineers)s, %(now)s, %(who)s)
RETURNING id

-- name: people
-- Who deals with alarms, and who of them is sent out.
SELECT count(*) FILTER (WHERE role IN ('engineer', 'dispatcher')), count(*) FILTER (WHERE role = 'engineer')
FROM users WHERE tenant = %(tenant)s AND disabled_at IS NULL

-- name: trial
-- One of them.
SELECT id, tenant, rule_id, content, rule, days, devices, people, engineers, state, asked_at, asked_by, done_at, fits,
       result, failure
FROM rule_trials WHERE id = %(id)s

-- name: trials
-- The newest first, of one rule or of all.
SELECT id, tenant, rule_id, content, rule, days, devices, people, engineers, state, asked_at, asked_by, done_at, fits,
       result, failure
FROM rule_trials
WHERE (%(rule_id)s::text IS NULL OR rule_id = %(rule_id)s)
  AND (%(after_time)s::timestamptz IS NULL OR (asked_at, id) < (%(after_time)s, %(after_id)s))
ORDER BY asked_at DESC, id DESC
LIMIT %(limit)s

-- name: latest_of_rules
-- The newest trial of each rule.
SELECT DISTINCT ON (rule_id) id, tenant, rule_id, content, rule, days, devices, people, engineers, state, asked_at, asked_by,
       done_at, fits, result, failure
FROM rule_trials ORDER BY rule_id, asked_at DESC, id DESC

-- name: latest_of_content
-- The newest trial of this very content over all that it covers, which is not older than its result is worth.
SELECT id, tenant, rule_id, content, rule, days, devices, people, engineers, state, asked_at, asked_by, done_at, fits,
       result, failure
FROM rule_trials
WHERE tenant = %(tenant)s AND content = %(content)s AND state = 'done' AND devices IS NULL AND days >= %(days)s
  AND done_at > %(since)s
ORDER BY done_at DESC LIMIT 1

-- name: begin
-- The trial that has waited longest and that nobody is at; who dies leaves it to the next.
UPDATE rule_trials SET attempts = attempts + 1, begun_at = %(now)s
WHERE id = (SELECT id FROM rule_trials
            WHERE state = 'waiting' AND (begun_at IS NULL OR begun_at < %(now)s - %(lost)s::interval)
            ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, attempts

-- name: done
-- What came of one.
UPDATE rule_trials SET state = 'done', done_at = %(now)s, fits = %(fits)s, result = %(result)s
WHERE id = %(id)s AND state = 'waiting'

-- name: failed
-- One that cannot be.
UPDATE rule_trials SET state = 'failed', done_at = %(now)s, failure = %(failure)s WHERE id = %(id)s AND state = 'waiting'

-- name: streams
-- The points of a tenant's machines, machine by machine.
SELECT s.id, s.device_id AS machine, s.tenant, s.device, s.point, s.quantity, s.unit
FROM streams s JOIN devices d ON d.id = s.device_id
WHERE s.tenant = %(tenant)s AND d.retired_at IS NULL
  AND (%(devices)s::text[] IS NULL OR s.device = ANY (%(devices)s))
ORDER BY s.device_id, s.id

-- name: amount
-- How many readings some streams have from a time on, counted no further than asked for.
SELECT count(*) FROM (
    SELECT 1 FROM tenant_readings
    WHERE stream_id = ANY (%(streams)s) AND time >= %(since)s
    LIMIT %(most)s
) counted

-- name: older
-- Whether some streams have a reading from before a time, and not from before another.
SELECT EXISTS (SELECT FROM tenant_readings
               WHERE stream_id = ANY (%(streams)s) AND time >= %(oldest)s AND time < %(before)s)

-- name: copied
-- What one machine said in [start, end), but for what detectors leave out.
COPY (SELECT time, stream_id, value FROM readings
      WHERE stream_id = ANY (%(streams)s) AND time >= %(start)s AND time < %(end)s AND quality & %(unscored)s = 0
      ORDER BY stream_id, time) TO STDOUT (FORMAT BINARY)

-- name: copied_for_tenant
-- The same for the API, which sees the readings of one tenant.
COPY (SELECT time, stream_id, value FROM tenant_readings
      WHERE stream_id = ANY (%(streams)s) AND time >= %(start)s AND time < %(end)s AND quality & %(unscored)s = 0
      ORDER BY stream_id, time) TO STDOUT (FORMAT BINARY)

-- name: faults
-- What tickets have found on some machines, and those that are open.
SELECT id::text, device, device_id, fault, since, coalesce(closed_at, %(end)s), verdict IS NOT NULL
FROM tickets
WHERE tenant = %(tenant)s AND device_id = ANY (%(machines)s) AND since < %(end)s
  AND coalesce(closed_at, %(end)s) > %(start)s
  AND (verdict IN ('confirmed', 'other_fault', 'sensor_fault') OR (verdict IS NULL AND closed_at IS NULL))
ORDER BY since, id

-- name: terms
-- What a tenant promises now: of it the working hours.
SELECT version, terms FROM terms WHERE tenant = %(tenant)s ORDER BY version DESC LIMIT 1

-- name: sites
-- Where a tenant's machines stand.
SELECT id, site FROM devices WHERE tenant = %(tenant)s

-- name: called
-- What people of a tenant were called for on each day of [start, end) by site, but by some rules at some points.
SELECT d.site, floor(date_part('epoch', c.called_at - %(start)s) / 86400)::int AS day, count(*) AS calls
FROM alarm_calls c JOIN devices d ON d.id = c.device_id
WHERE c.tenant = %(tenant)s AND c.called_at >= %(start)s AND c.called_at < %(end)s
  AND NOT (c.rule = ANY(%(rules)s)
           AND EXISTS (SELECT FROM unnest(%(machines)s::int[], %(points)s::text[]) AS own (machine, point)
                       WHERE own.machine = c.device_id AND own.point = c.point))
GROUP BY 1, 2
