-- name: account_of
-- A person's account, and how many acts are theirs.
SELECT u.id, u.login, u.name, u.role, u.created_at, u.password_at, u.failed_logins, u.locked_until, u.disabled_at,
       (SELECT count(*) FROM audit_acts a WHERE a.tenant = u.tenant AND a.actor = 'user:' || u.id) AS acts
FROM users u WHERE u.login = %(login)s AND u.password_hash <> ''

-- name: traces
-- Every value that speaks of a person.
SELECT table_name, column_name, what, why, how_long, key, value FROM personal_data(%(login)s, %(names)s::text[])

-- name: mentions
-- Every value that speaks of some names, and of no login.
SELECT table_name, column_name, what, why, how_long, key, value FROM personal_data(NULL, %(names)s::text[])

-- name: lock_administrators
-- Who may administer, held until the transaction ends.
SELECT id FROM users WHERE role = 'administrator' AND disabled_at IS NULL ORDER BY id FOR UPDATE

-- name: erase
-- A pseudonym in the place of a person, everywhere.
SELECT erase_person(%(id)s, %(names)s::text[], %(pseudonym)s, %(note)s)
