-- name: create_user
-- Somebody who may sign in.
INSERT INTO users (tenant, login, name, role, password_hash)
VALUES (%(tenant)s, %(login)s, %(name)s, %(role)s, %(password_hash)s)
ON CONFLICT (login) DO NOTHING
RETURNING id, login, name, role, created_at, disabled_at, NULL::text AS customer

-- name: users
-- A page of users in the order of their logins.
SELECT id, login, name, role, created_at, disabled_at,
       (SELECT number FROM customers c WHERE c.id = customer_id) AS customer
FROM users
WHERE %(after)s::text IS NULL OR login > %(after)s
ORDER BY login
LIMIT %(limit)s

-- name: change_user
-- NULL leaves what was there. A new password voids every token from before it, and ends a lockout.
UPDATE users
SET name = coalesce(%(name)s, name),
    role = coalesce(%(role)s, role),
    password_hash = coalesce(%(password_hash)s, password_hash),
    password_at = CASE WHEN %(password_hash)s::text IS NULL THEN password_at ELSE now() END,
    failed_logins = CASE WHEN %(password_hash)s::text IS NULL THEN failed_logins ELSE 0 END,
    locked_until = CASE WHEN %(password_hash)s::text IS NULL THEN locked_until END,
    disabled_at = CASE WHEN %(disabled)s::boolean IS NULL THEN disabled_at WHEN %(disabled)s THEN coalesce(disabled_at, now()) END,
    customer_id = CASE WHEN %(customer)s::text IS NULL THEN customer_id
                       ELSE (SELECT c.id FROM customers c WHERE c.number = %(customer)s) END
WHERE id = %(id)s
RETURNING id, login, name, role, created_at, disabled_at,
          (SELECT number FROM customers c WHERE c.id = customer_id) AS customer

-- name: account
-- Whose login this is, in whatever tenant.
SELECT id, tenant, login, role, password_hash FROM user_of_login(%(login)s)

-- name: begin_attempt
-- Count an attempt to sign in as failed before it is made, so that a thousand at once are counted too. No row: the
-- account rests.
UPDATE users
SET failed_logins = failed_logins + 1,
    locked_until = CASE WHEN failed_logins + 1 >= %(free)s
                        THEN now() + least(%(rest)s * power(2, least(failed_logins + 1 - %(free)s, 20)), %(longest_rest)s)
                                     * interval '1 second'
                   END
WHERE id = %(id)s AND (locked_until IS NULL OR locked_until <= now())
RETURNING id

-- name: forgive
-- The attempt was none: it succeeded.
UPDATE users SET failed_logins = 0, locked_until = NULL WHERE id = %(id)s

-- name: stands
-- Whether a token still says the truth about its holder.
SELECT EXISTS (
    SELECT FROM users
    WHERE id = %(id)s AND role = %(role)s AND disabled_at IS NULL
      AND date_trunc('second', password_at) <= to_timestamp(%(issued_at)s)
)

-- name: narrow_to_own
-- Whose rows an owner sees, for the rest of the transaction.
SELECT set_config('bellwether.customer',
                  coalesce((SELECT customer_id::text FROM users WHERE id = %(id)s), 'none'), true)

-- name: is_customer
-- Whether the tenant's books know this number.
SELECT FROM customers WHERE number = %(number)s

-- name: key_holder
-- Whose key this is, in whatever tenant.
SELECT id, tenant, name, role FROM key_holder(%(hash)s)

-- name: create_key
-- A key; of its secret only the hash.
INSERT INTO api_keys (tenant, name, role, key_hash, created_by, expires_at)
VALUES (%(tenant)s, %(name)s, %(role)s, %(hash)s, %(who)s, %(expires_at)s)
RETURNING id, name, role, created_at, created_by, expires_at, revoked_at

-- name: keys
-- A page of keys, newest first.
SELECT id, name, role, created_at, created_by, expires_at, revoked_at
FROM api_keys
WHERE %(after_at)s::timestamptz IS NULL OR (created_at, id) < (%(after_at)s, %(after_id)s)
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s

-- name: revoke_key
-- It opens nothing from now on. Revoking twice keeps the first time.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
WHERE id = %(id)s
RETURNING id, name, role, created_at, created_by, expires_at, revoked_at

-- name: claim
-- The first request with a key has it. A second waits here until the first is done or has failed.
INSERT INTO idempotency (tenant, key, route, request_hash)
VALUES (%(tenant)s, %(key)s, %(route)s, %(hash)s)
ON CONFLICT (tenant, key) DO NOTHING
RETURNING key

-- name: answer
-- What the first request with this key was answered.
SELECT route, request_hash, status, body FROM idempotency WHERE tenant = %(tenant)s AND key = %(key)s

-- name: keep_answer
-- For whoever asks again.
UPDATE idempotency SET status = %(status)s, body = %(body)s WHERE tenant = %(tenant)s AND key = %(key)s
