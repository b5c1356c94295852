-- name: of_sites
-- Who answers for which site, of those who still deal with alarms.
SELECT p.site, p.login
FROM site_people p JOIN users u ON u.tenant = p.tenant AND u.login = p.login
WHERE p.tenant = %(tenant)s AND u.disabled_at IS NULL AND u.role IN ('engineer', 'dispatcher')
ORDER BY p.site, p.login

-- name: who_could
-- Who can be asked to answer for a site.
SELECT login, name FROM users
WHERE tenant = %(tenant)s AND disabled_at IS NULL AND role IN ('engineer', 'dispatcher')
ORDER BY name, login

-- name: is_site
-- Whether a machine in use or a place on the map is called so.
SELECT EXISTS (SELECT FROM devices WHERE site = %(site)s AND retired_at IS NULL)
    OR EXISTS (SELECT FROM sites WHERE site = %(site)s)

-- name: forget
-- Who answers for a site no more.
DELETE FROM site_people WHERE tenant = %(tenant)s AND site = %(site)s AND login <> ALL(%(logins)s)

-- name: keep
-- Who answers for a site; who did already goes on.
INSERT INTO site_people (tenant, site, login, changed_by)
SELECT %(tenant)s, %(site)s, unnest(%(logins)s::text[]), %(who)s
ON CONFLICT DO NOTHING
