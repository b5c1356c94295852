-- name: rules
-- The rules as they stand: of each the latest version.
SELECT DISTINCT ON (id) id, version, rule, enabled, created_at, created_by, trial, untried, override_note
FROM rules
ORDER BY id, version DESC

-- name: versions
-- What one rule was before, newest first.
SELECT id, version, rule, enabled, created_at, created_by, trial, untried, override_note
FROM rules WHERE id = %(id)s ORDER BY version DESC

-- name: add_version
-- The next version of a rule, if it follows the one that its author has seen.
INSERT INTO rules (tenant, id, version, rule, enabled, created_by, trial, untried, override_note)
SELECT %(tenant)s, %(id)s, %(seen)s + 1, %(rule)s, %(enabled)s, %(who)s, %(trial)s, %(untried)s, %(override_note)s
WHERE coalesce((SELECT max(version) FROM rules WHERE tenant = %(tenant)s AND id = %(id)s), 0) = %(seen)s
ON CONFLICT (tenant, id, version) DO NOTHING
RETURNING version

-- name: stored_in_force
-- The newest version of each rule of every tenant.
SELECT DISTINCT ON (tenant, id) tenant, rule FROM rules ORDER BY tenant, id, version DESC
