-- name: engineers
-- A page of engineers by login.
SELECT e.login, u.name, e.skills, e.remote, e.latitude, e.longitude, e.speed_km_h, e.most, e.shifts, e.changed_at,
       e.changed_by, u.disabled_at IS NULL AND u.role = 'engineer' AS can_go
FROM engineers e JOIN users u ON u.tenant = e.tenant AND u.login = e.login
WHERE %(after)s::text IS NULL OR e.login > %(after)s
ORDER BY e.login
LIMIT %(limit)s

-- name: engineer
-- One engineer.
SELECT e.login, u.name, e.skills, e.remote, e.latitude, e.longitude, e.speed_km_h, e.most, e.shifts, e.changed_at,
       e.changed_by, u.disabled_at IS NULL AND u.role = 'engineer' AS can_go
FROM engineers e JOIN users u ON u.tenant = e.tenant AND u.login = e.login
WHERE e.login = %(login)s

-- name: create
-- An engineer, unless there is one of that login or nobody who could be.
INSERT INTO engineers (tenant, login, skills, remote, latitude, longitude, speed_km_h, most, shifts, changed_by)
SELECT %(tenant)s, u.login, %(skills)s, %(remote)s, %(latitude)s, %(longitude)s, %(speed_km_h)s, %(most)s, %(shifts)s,
       %(who)s
FROM users u
WHERE u.login = %(login)s AND u.role = 'engineer' AND u.disabled_at IS NULL
ON CONFLICT (tenant, login) DO NOTHING
RETURNING login

-- name: change
-- All of it but the login anew.
UPDATE engineers
SET skills = %(skills)s, remote = %(remote)s, latitude = %(latitude)s, longitude = %(longitude)s,
    speed_km_h = %(speed_km_h)s, most = %(most)s, shifts = %(shifts)s, changed_at = now(), changed_by = %(who)s
WHERE login = %(login)s
RETURNING login

-- name: remove
-- Nobody is sent there any more by dispatch.
DELETE FROM engineers WHERE login = %(login)s RETURNING login

-- name: who_could
-- Users with the role engineer of whom dispatch knows nothing yet.
SELECT u.login, u.name FROM users u
WHERE u.role = 'engineer' AND u.disabled_at IS NULL AND NOT EXISTS (SELECT FROM engineers e WHERE e.login = u.login)
ORDER BY u.name, u.login

-- name: sites
-- Sites by name, those of devices and those that are known: where each is, if anybody has said.
SELECT n.site, s.latitude, s.longitude, s.changed_at, coalesce(s.changed_by, '') AS changed_by,
       (SELECT count(*) FROM devices d WHERE d.site = n.site AND d.retired_at IS NULL) AS devices
FROM (SELECT site FROM devices WHERE site <> '' AND retired_at IS NULL UNION SELECT site FROM sites) n
LEFT JOIN sites s ON s.site = n.site
WHERE %(after)s::text IS NULL OR n.site > %(after)s
ORDER BY n.site
LIMIT %(limit)s

-- name: keep_site
-- Where a site is.
INSERT INTO sites (tenant, site, latitude, longitude, changed_by)
VALUES (%(tenant)s, %(site)s, %(latitude)s, %(longitude)s, %(who)s)
ON CONFLICT (tenant, site) DO UPDATE
SET latitude = excluded.latitude, longitude = excluded.longitude, changed_at = now(), changed_by = excluded.changed_by
RETURNING site, latitude, longitude, changed_at, changed_by,
          (SELECT count(*) FROM devices d WHERE d.site = sites.site AND d.retired_at IS NULL) AS devices
