-- name: parts
-- Parts by number, each with what there is of it on all shelves.
SELECT p.id, p.number, p.name, p.unit, p.value, p.currency, p.fits, p.shelf_days, p.serialised, p.low_at,
       p.lead_days, p.cures,
       coalesce(s.on_hand, 0)::bigint AS on_hand, coalesce(s.expired, 0)::bigint AS expired,
       coalesce(r.held, 0)::bigint AS held, coalesce(r.waiting, 0)::bigint AS waiting
FROM parts p
LEFT JOIN LATERAL (
    SELECT sum(s.quantity) AS on_hand, sum(s.quantity) FILTER (WHERE l.expires_on < %(today)s) AS expired
    FROM part_stock s JOIN part_places d ON d.id = s.place_id JOIN part_lots l ON l.id = s.lot_id
    WHERE s.part_id = p.id AND d.kind IN ('central', 'regional', 'city', 'van')
) s ON true
LEFT JOIN LATERAL (
    SELECT sum(r.quantity) FILTER (WHERE r.state = 'held' AND d.kind <> 'transit') AS held,
           sum(r.quantity) FILTER (WHERE r.state = 'waiting') AS waiting
    FROM part_reservations r LEFT JOIN part_places d ON d.id = r.place_id
    WHERE r.part_id = p.id AND r.ended_at IS NULL
) r ON true
WHERE (%(number)s::text IS NULL OR p.number = %(number)s)
  AND (%(like)s::text IS NULL OR strpos(lower(p.number || ' ' || p.name), lower(%(like)s)) > 0)
  AND (%(model)s::text IS NULL OR p.fits = '{}' OR %(model)s = ANY(p.fits))
  AND (NOT %(low)s OR coalesce(s.on_hand, 0) - coalesce(s.expired, 0) - coalesce(r.held, 0) < p.low_at)
  AND (%(after)s::text IS NULL OR p.number > %(after)s)
ORDER BY p.number
LIMIT %(limit)s

-- name: create_part
-- A part that was not known, unless its number is taken.
INSERT INTO parts (tenant, number, name, unit, value, currency, fits, shelf_days, serialised, low_at, lead_days, cures,
                   created_by)
VALUES (%(tenant)s, %(number)s, %(name)s, %(unit)s, %(value)s, %(currency)s, %(fits)s, %(shelf_days)s, %(serialised)s,
        %(low_at)s, %(lead_days)s, %(cures)s, %(who)s)
ON CONFLICT DO NOTHING
RETURNING id

-- name: change_part
-- What is said of a part from now on. Whether it is counted or numbered stays as it was.
UPDATE parts SET name = %(name)s, unit = %(unit)s, value = %(value)s, currency = %(currency)s, fits = %(fits)s,
       shelf_days = %(shelf_days)s, low_at = %(low_at)s, lead_days = %(lead_days)s, cures = %(cures)s
WHERE number = %(number)s AND serialised = %(serialised)s
RETURNING id

-- name: lock_part
-- Whoever plans with a part, or moves it, does so one after the other.
SELECT pg_advisory_xact_lock(1885434484, %(part)s)

-- name: depots
-- Depots and vans by name, with how many kinds of parts each has.
SELECT p.id, p.name, p.kind, p.region, p.engineer, p.closed_at,
       (SELECT count(DISTINCT s.part_id) FROM part_stock s WHERE s.place_id = p.id AND s.quantity > 0) AS parts
FROM part_places p
WHERE p.kind IN ('central', 'regional', 'city', 'van')
  AND (%(name)s::text IS NULL OR p.name = %(name)s)
  AND (%(after)s::text IS NULL OR p.name > %(after)s)
ORDER BY p.name
LIMIT %(limit)s

-- name: open_depot
-- A new depot or van, unless its name is taken, or its engineer has a van.
INSERT INTO part_places (tenant, kind, name, region, engineer)
VALUES (%(tenant)s, %(kind)s, %(name)s, %(region)s, %(engineer)s)
ON CONFLICT DO NOTHING
RETURNING id

-- name: hold_depot
-- Hold a depot until the transaction ends: nothing is put into it meanwhile.
SELECT FROM part_places WHERE name = %(name)s AND kind IN ('central', 'regional', 'city', 'van') FOR UPDATE

-- name: hold_open_depot
-- Keep a depot open until the transaction ends: something is being put into it. Others may do so as well.
SELECT FROM part_places
WHERE name = %(name)s AND kind IN ('central', 'regional', 'city', 'van') AND closed_at IS NULL
FOR KEY SHARE

-- name: change_depot
-- Where it is, whose it is, and whether it is still one.
UPDATE part_places SET region = %(region)s, engineer = %(engineer)s, closed_at = %(closed_at)s WHERE id = %(id)s

-- name: is_emptied
-- Whether nothing is at a place, and nothing on its way to it.
SELECT NOT EXISTS (SELECT FROM part_stock WHERE place_id = %(place)s AND quantity > 0)
   AND NOT EXISTS (SELECT FROM part_transfers WHERE to_id = %(place)s AND received_at IS NULL)

-- name: make_place
-- A place that is not a depot, made when it is first needed.
INSERT INTO part_places (tenant, kind, name) VALUES (%(tenant)s, %(kind)s, %(name)s) ON CONFLICT DO NOTHING

-- name: place_named
-- Its number.
SELECT id FROM part_places WHERE kind = %(kind)s AND name = %(name)s

-- name: policy
-- What the tenant promises and allows, if it ever said.
SELECT arrive_h, held_days FROM part_policies

-- name: set_policy
-- For what is asked from now on.
INSERT INTO part_policies (tenant, arrive_h, held_days, changed_at, changed_by)
VALUES (%(tenant)s, %(arrive_h)s, %(held_days)s, %(now)s, %(who)s)
ON CONFLICT (tenant) DO UPDATE SET arrive_h = excluded.arrive_h, held_days = excluded.held_days,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by
