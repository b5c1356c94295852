-- name: rota
-- A tenant's layers.
SELECT zone, layers, changed_at, changed_by FROM on_call_rotas WHERE tenant = %(tenant)s

-- name: keep_rota
-- Other layers.
INSERT INTO on_call_rotas (tenant, zone, layers, changed_at, changed_by)
VALUES (%(tenant)s, %(zone)s, %(layers)s, now(), %(who)s)
ON CONFLICT (tenant) DO UPDATE
SET zone = excluded.zone, layers = excluded.layers, changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: overrides
-- Those that are not over, or not for long, the oldest first: of two the newer counts.
SELECT id, login, begins_at, ends_at, made_at, made_by FROM on_call_overrides
WHERE tenant = %(tenant)s AND ends_at > %(since)s
ORDER BY made_at, id

-- name: add_override
-- Somebody takes this time.
INSERT INTO on_call_overrides (tenant, login, begins_at, ends_at, made_by)
VALUES (%(tenant)s, %(login)s, %(begins_at)s, %(ends_at)s, %(who)s)
RETURNING id

-- name: forget_overrides
-- Who took whose shift is nobody's business a month after.
DELETE FROM on_call_overrides WHERE tenant = %(tenant)s AND ends_at < %(since)s

-- name: remove_override
-- It is as the layers say again.
DELETE FROM on_call_overrides WHERE id = %(id)s RETURNING id

-- name: chain
-- A tenant's chain.
SELECT alarms_from, tickets_from, steps, rounds, changed_at, changed_by FROM escalation_chains WHERE tenant = %(tenant)s

-- name: keep_chain
-- Another chain. What is on its way goes on along this one.
INSERT INTO escalation_chains (tenant, alarms_from, tickets_from, steps, rounds, changed_at, changed_by)
VALUES (%(tenant)s, %(alarms_from)s, %(tickets_from)s, %(steps)s, %(rounds)s, now(), %(who)s)
ON CONFLICT (tenant) DO UPDATE
SET alarms_from = excluded.alarms_from, tickets_from = excluded.tickets_from, steps = excluded.steps,
    rounds = excluded.rounds, changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: known
-- Which of these logins are people of the tenant's who may sign in.
SELECT login FROM users WHERE tenant = %(tenant)s AND login = ANY(%(logins)s) AND disabled_at IS NULL
