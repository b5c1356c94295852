-- name: counted
-- How many alarms people were called for at each site of late, and the flood that stands there; those that are quiet call
-- nobody. The first out is the one whose departure began first, not the one that was told first.
WITH policy AS (
    SELECT t.id AS tenant, coalesce(p.flood_s, %(flood_s)s) AS flood_s, coalesce(p.flood_alarms, %(flood_alarms)s) AS most
    FROM tenants t LEFT JOIN alarm_policies p ON p.tenant = t.id
), called AS (
    SELECT a.tenant, d.site, count(*) AS alarms, min(e.recorded_at) AS since,
           (array_agg(a.id ORDER BY a.since, a.id))[1] AS first_out
    FROM alarm_events e
    JOIN alarms a ON a.id = e.occurrence_id
    JOIN devices d ON d.id = a.device_id
    JOIN policy ON policy.tenant = a.tenant
    WHERE e.kind = 'raised' AND e.recorded_at > %(now)s - %(longest)s::interval
      AND e.recorded_at > %(now)s - make_interval(secs => policy.flood_s) AND e.recorded_at <= %(now)s
      AND a.state NOT IN ('shelved', 'suppressed', 'out_of_service')
    GROUP BY a.tenant, d.site
)
SELECT coalesce(called.tenant, stands.tenant) AS tenant, coalesce(called.site, stands.site) AS site,
       coalesce(called.alarms, 0) AS alarms, called.since, called.first_out, stands.id, stands.most_alarms, policy.most
FROM called
FULL JOIN (SELECT id, tenant, site, most_alarms FROM alarm_floods WHERE ended_at IS NULL) stands
       ON stands.tenant = called.tenant AND stands.site = called.site
JOIN policy ON policy.tenant = coalesce(called.tenant, stands.tenant)

-- name: begin
-- Too many at once; another of us may have said so.
INSERT INTO alarm_floods (tenant, site, since, began_at, most_alarms, first_out)
VALUES (%(tenant)s, %(site)s, %(since)s, %(now)s, %(alarms)s, %(first_out)s)
ON CONFLICT (tenant, site) WHERE ended_at IS NULL DO NOTHING

-- name: worsen
-- More than ever in this flood.
UPDATE alarm_floods SET most_alarms = %(alarms)s WHERE id = %(id)s

-- name: end
-- It is over.
UPDATE alarm_floods SET ended_at = %(now)s WHERE id = %(id)s

-- name: floods
-- A page of floods, newest first, each with its first out.
SELECT f.id, f.site, f.since, f.began_at, f.ended_at, f.most_alarms, f.first_out, a.device AS first_device,
       a.message AS first_message, a.since AS first_since,
       (SELECT count(DISTINCT e.alarm_id) FROM escalations e
        WHERE e.flood_id = f.id AND e.ended_because = 'told with its flood') AS told_with
FROM alarm_floods f JOIN alarms a ON a.id = f.first_out
WHERE (NOT %(is_open)s OR f.ended_at IS NULL)
  AND (%(after_at)s::timestamptz IS NULL OR (f.began_at, f.id) < (%(after_at)s, %(after_id)s))
ORDER BY f.began_at DESC, f.id DESC
LIMIT %(limit)s

-- name: groups
-- What is open at flooded sites, by site and machine, the machine that was first first: each with its first out.
SELECT d.site, a.device, count(*) AS alarms,
       count(*) FILTER (WHERE a.state IN ('unacknowledged', 'returned_unacknowledged', 'latched_unacknowledged')) AS waiting,
       (array_agg(a.severity ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], a.severity)))[1] AS worst,
       min(a.since) AS since, (array_agg(a.id ORDER BY a.since, a.id))[1] AS first_out,
       (array_agg(a.message ORDER BY a.since, a.id))[1] AS first_message
FROM alarms a JOIN devices d ON d.id = a.device_id
WHERE d.site = ANY(%(sites)s) AND a.state NOT IN ('normal', 'shelved', 'suppressed', 'out_of_service')
GROUP BY d.site, a.device
ORDER BY d.site, min(a.since), a.device
LIMIT %(limit)s
