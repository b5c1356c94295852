-- name: in_force
-- The latest terms of the tenant; none where it goes by the house's.
SELECT version, terms, reason, changed_at, changed_by
FROM terms
WHERE tenant = current_setting('bellwether.tenant', true)
ORDER BY version DESC
LIMIT 1

-- name: versions
-- What the terms have been, newest first.
SELECT version, terms, reason, changed_at, changed_by
FROM terms
WHERE %(before)s::int IS NULL OR version < %(before)s
ORDER BY version DESC
LIMIT %(limit)s

-- name: of_versions
-- Terms of some versions of the tenant's.
SELECT version, terms FROM terms
WHERE tenant = current_setting('bellwether.tenant', true) AND version = ANY(%(versions)s)

-- name: add_version
-- The next version, if it follows the one that its author has seen.
INSERT INTO terms (tenant, version, terms, reason, changed_by)
SELECT %(tenant)s, %(seen)s + 1, %(terms)s, %(reason)s, %(who)s
WHERE coalesce((SELECT max(version) FROM terms WHERE tenant = %(tenant)s), 0) = %(seen)s
ON CONFLICT (tenant, version) DO NOTHING
RETURNING version
