-- name: windows
-- A page of maintenance windows, the one that ends last first.
SELECT id, device, site, begins_at, ends_at, reason, made_by, made_at, ended_by
FROM maintenance_windows
WHERE (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(site)s::text IS NULL OR site = %(site)s)
  AND (NOT %(is_open)s OR ends_at > %(now)s)
  AND (%(after_at)s::timestamptz IS NULL OR (ends_at, id) < (%(after_at)s, %(after_id)s))
ORDER BY ends_at DESC, id DESC
LIMIT %(limit)s

-- name: window
-- One window.
SELECT id, device, site, begins_at, ends_at, reason, made_by, made_at, ended_by
FROM maintenance_windows WHERE id = %(id)s

-- name: is_a_place
-- Whether there is such a device, or such a site.
SELECT EXISTS (SELECT FROM devices WHERE device = %(device)s OR site = %(site)s)

-- name: plan
-- Work is planned.
INSERT INTO maintenance_windows (id, tenant, device, site, begins_at, ends_at, reason, made_by, made_at)
VALUES (%(id)s, %(tenant)s, %(device)s, %(site)s, %(begins_at)s, %(ends_at)s, %(reason)s, %(who)s, %(now)s)

-- name: end
-- It is over now, or was never begun.
UPDATE maintenance_windows SET ends_at = greatest(begins_at, %(now)s), ended_by = %(who)s
WHERE id = %(id)s AND ends_at > %(now)s
RETURNING id

-- name: outages
-- A page of rules that are or were out of service, newest first.
SELECT id, rule, device, point, reason, until, taken_at, taken_by, given_back_at, given_back_by
FROM out_of_service
WHERE (%(device)s::text IS NULL OR device = %(device)s)
  AND (%(rule)s::text IS NULL OR rule = %(rule)s)
  AND (NOT %(is_open)s OR given_back_at IS NULL)
  AND (%(after_at)s::timestamptz IS NULL OR (taken_at, id) < (%(after_at)s, %(after_id)s))
ORDER BY taken_at DESC, id DESC
LIMIT %(limit)s

-- name: outage
-- One of them.
SELECT id, rule, device, point, reason, until, taken_at, taken_by, given_back_at, given_back_by
FROM out_of_service WHERE id = %(id)s

-- name: take_out
-- A rule watches a device, or a point of it, no more; nothing where it is out already.
INSERT INTO out_of_service (tenant, rule, device, point, reason, until, taken_at, taken_by)
VALUES (%(tenant)s, %(rule)s, %(device)s, %(point)s, %(reason)s, %(until)s, %(now)s, %(who)s)
ON CONFLICT (tenant, device, rule, point) WHERE given_back_at IS NULL DO NOTHING
RETURNING id

-- name: give_back
-- It watches again.
UPDATE out_of_service SET given_back_at = %(now)s, given_back_by = %(who)s
WHERE id = %(id)s AND given_back_at IS NULL
RETURNING id

-- name: outages_due
-- Those whose time is over watch again.
UPDATE out_of_service SET given_back_at = until, given_back_by = 'bellwether'
WHERE given_back_at IS NULL AND until <= %(now)s

-- name: policy
-- What the tenant says about its alarms.
SELECT longest_shelf_h, chatter_raises, chatter_s, flood_alarms, flood_s, stale_h, alarms_per_10min, false_per_month,
       changed_at, changed_by
FROM alarm_policies

-- name: policies
-- What each tenant says about its alarms.
SELECT tenant, longest_shelf_h, chatter_raises, chatter_s, flood_alarms, flood_s, stale_h, alarms_per_10min, false_per_month
FROM alarm_policies

-- name: change_policy
-- What it says from now on.
INSERT INTO alarm_policies (tenant, longest_shelf_h, chatter_raises, chatter_s, flood_alarms, flood_s, stale_h,
                            alarms_per_10min, false_per_month, changed_at, changed_by)
VALUES (%(tenant)s, %(longest_shelf_h)s, %(chatter_raises)s, %(chatter_s)s, %(flood_alarms)s, %(flood_s)s, %(stale_h)s,
        %(alarms_per_10min)s, %(false_per_month)s, %(now)s, %(who)s)
ON CONFLICT (tenant) DO UPDATE SET
    longest_shelf_h = excluded.longest_shelf_h, chatter_raises = excluded.chatter_raises,
    chatter_s = excluded.chatter_s, flood_alarms = excluded.flood_alarms, flood_s = excluded.flood_s,
    stale_h = excluded.stale_h,
    alarms_per_10min = excluded.alarms_per_10min, false_per_month = excluded.false_per_month,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by
