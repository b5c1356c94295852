-- name: actions
-- Corrective actions, newest first.
SELECT id, kind, model, fault, problem, cases, root_cause, action, owner, due_at, state, note, effect, made_at, made_by, done_at,
       closed_at, changed_at, changed_by
FROM corrective_actions
WHERE (%(id)s::uuid IS NULL OR id = %(id)s)
  AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
  AND (%(after_at)s::timestamptz IS NULL OR (made_at, id) < (%(after_at)s, %(after_id)s))
ORDER BY made_at DESC, id DESC
LIMIT %(limit)s

-- name: lock_action
-- Hold one until the transaction ends.
SELECT state FROM corrective_actions WHERE id = %(id)s FOR UPDATE

-- name: write_action
-- A problem that a person has seen.
INSERT INTO corrective_actions (tenant, kind, model, fault, problem, state, made_at, made_by, changed_at, changed_by)
VALUES (%(tenant)s, 'person', %(model)s, %(fault)s, %(problem)s, 'proposed', %(now)s, %(who)s, %(now)s, %(who)s)
RETURNING id

-- name: keep_action
-- An action after a step.
UPDATE corrective_actions
SET state = %(state)s, root_cause = %(root_cause)s, action = %(action)s, owner = %(owner)s, due_at = %(due_at)s,
    note = %(note)s, effect = %(effect)s, done_at = %(done_at)s, closed_at = %(closed_at)s, changed_at = %(now)s,
    changed_by = %(who)s
WHERE id = %(id)s

-- name: propose
-- What came often enough, each once: the index decides, not a look beforehand. What came before the last action on it was
-- closed does not count again.
INSERT INTO corrective_actions (tenant, kind, model, fault, problem, cases, state, made_at, made_by, changed_at, changed_by)
SELECT %(tenant)s, p.kind, p.model, p.fault,
       CASE p.kind WHEN 'fault' THEN p.fault || ' on ' || p.model
                   WHEN 'inspection' THEN 'Repairs of ' || p.model || ' that failed their inspection'
                   ELSE 'Customers of ' || p.model || ' who were not satisfied' END,
       count(*), 'proposed', %(now)s, 'bellwether', %(now)s, 'bellwether'
FROM problem_cases p
WHERE p.tenant = %(tenant)s AND p.at > %(since)s AND p.at <= %(now)s
  AND p.at > coalesce((SELECT max(closed_at) FROM corrective_actions c
                       WHERE c.tenant = p.tenant AND (c.kind, c.model, c.fault) = (p.kind, p.model, p.fault)), '-infinity')
GROUP BY p.kind, p.model, p.fault
HAVING count(*) >= %(least)s
ON CONFLICT (tenant, kind, model, fault) WHERE kind <> 'person' AND state IN ('proposed', 'open', 'done') DO NOTHING

-- name: came
-- How often a problem came within a span.
SELECT count(*) FROM problem_cases
WHERE kind = %(kind)s AND at >= %(begin)s AND at < %(end)s
  AND (%(model)s = '' OR model = %(model)s) AND (%(fault)s = '' OR fault = %(fault)s)

-- name: tenants
-- Everybody's, for the round.
SELECT id FROM tenants ORDER BY id

-- name: is_person
-- Whether there is somebody of this login who could see to something.
SELECT EXISTS (SELECT FROM users WHERE login = %(login)s AND disabled_at IS NULL AND role <> 'owner')

-- name: near
-- Open actions of all tenants that are due by then and whose owner was not told of that date, each in one hand.
SELECT id, tenant, problem, action, owner, due_at FROM corrective_actions
WHERE state = 'open' AND due_at <= %(until)s AND owner_told_for IS DISTINCT FROM due_at
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
ORDER BY due_at, id LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED

-- name: late
-- Open actions of all tenants that were due by then and whose managers were not told of that date, each in one hand.
SELECT id, tenant, problem, action, owner, due_at FROM corrective_actions
WHERE state = 'open' AND due_at <= %(until)s AND managers_told_for IS DISTINCT FROM due_at
  AND (%(id)s::uuid IS NULL OR id = %(id)s)
ORDER BY due_at, id LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED

-- name: told_near
-- Its owner was told of this due date.
UPDATE corrective_actions SET owner_told_for = due_at WHERE id = %(id)s

-- name: told_late
-- Its managers were told of this due date.
UPDATE corrective_actions SET managers_told_for = due_at WHERE id = %(id)s
