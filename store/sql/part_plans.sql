-- name: unplanned
-- Tenants that have parts and no plan of today.
SELECT DISTINCT p.tenant FROM parts p
WHERE NOT EXISTS (SELECT FROM part_plans l WHERE l.tenant = p.tenant AND l.made_at > %(now)s - INTERVAL '1 day')
ORDER BY p.tenant

-- name: planned_parts
-- What is planned: each part, with what is on its way, what is waited for, and how many will be needed as machines wear:
-- the probability that a machine fails within 30 days by its wear, times that of the failure modes that take this part,
-- where its ticket has not asked for the part yet.
SELECT p.id, p.value::float8 AS value, p.lead_days, p.low_at,
       coalesce((SELECT sum(s.quantity) FROM part_stock s JOIN part_places t ON t.id = s.place_id
                 WHERE s.part_id = p.id AND t.kind = 'transit'), 0)::bigint
       - coalesce((SELECT sum(r.quantity) FROM part_reservations r LEFT JOIN part_places t ON t.id = r.place_id
                   WHERE r.part_id = p.id AND (r.state = 'waiting' OR (r.state = 'held' AND t.kind = 'transit'))), 0)::bigint
       AS beside,
       coalesce((SELECT sum(n.by_wear * n.share) FROM (
           SELECT w.by_wear, least(1, max(g.share)) AS share
           FROM devices d
           JOIN LATERAL (SELECT by_wear FROM prognoses WHERE device_id = d.id AND hour > %(now)s - INTERVAL '2 days'
                         ORDER BY hour DESC LIMIT 1) w ON w.by_wear IS NOT NULL
           JOIN tickets t ON t.device_id = d.id AND t.state NOT IN ('closed', 'cancelled')
           JOIN LATERAL (SELECT sum((s ->> 'probability')::float8) AS share
                         FROM diagnoses x, jsonb_array_elements(x.suspects) s
                         WHERE x.ticket_id = t.id AND s ->> 'mode' = ANY(p.cures)) g ON g.share IS NOT NULL
           WHERE d.tenant = p.tenant AND d.retired_at IS NULL AND (p.fits = '{}' OR d.model = ANY(p.fits))
             AND NOT EXISTS (SELECT FROM part_reservations r
                             WHERE r.ticket_id = t.id AND r.part_id = p.id AND r.state NOT IN ('released', 'expired'))
           GROUP BY d.id, w.by_wear) n), 0)::float8 AS predicted
FROM parts p
WHERE p.tenant = %(tenant)s
ORDER BY p.id

-- name: demand
-- How many went into repairs and stayed there, by part and week, as weeks ago.
SELECT part_id, floor(extract(epoch FROM %(now)s - at) / 604800)::int AS ago,
       sum(CASE kind WHEN 'issue' THEN quantity ELSE -quantity END)::float8 AS quantity
FROM part_moves
WHERE tenant = %(tenant)s AND kind IN ('issue', 'unused') AND at <= %(now)s AND at > %(now)s - make_interval(weeks => %(weeks)s)
GROUP BY part_id, ago

-- name: planned_shelves
-- What of each part is free at each depot and in each van, and how many went in from there within 90 days.
SELECT d.name AS depot, d.kind, p.id AS part_id,
       (coalesce((SELECT sum(s.quantity) FROM part_stock s JOIN part_lots l ON l.id = s.lot_id
                  WHERE s.place_id = d.id AND s.part_id = p.id AND (l.expires_on IS NULL OR l.expires_on >= %(today)s)), 0)
        - coalesce((SELECT sum(r.quantity) FROM part_reservations r
                    WHERE r.place_id = d.id AND r.part_id = p.id AND r.state = 'held'), 0))::bigint AS free,
       coalesce((SELECT sum(m.quantity) FROM part_moves m
                 WHERE m.part_id = p.id AND m.from_id = d.id AND m.kind = 'issue'
                   AND m.at > %(now)s - INTERVAL '90 days'), 0)::bigint AS used
FROM part_places d JOIN parts p ON p.tenant = d.tenant
WHERE d.tenant = %(tenant)s AND d.closed_at IS NULL AND d.kind IN ('central', 'regional', 'city', 'van')
ORDER BY p.id, d.name

-- name: keep_plan
-- What is planned of a part, in place of what was.
INSERT INTO part_plans (part_id, tenant, made_at, class, method, weekly, predicted, position, reorder_at, up_to, proposals)
VALUES (%(part)s, %(tenant)s, %(now)s, %(class)s, %(method)s, %(weekly)s, %(predicted)s, %(position)s, %(reorder_at)s,
        %(up_to)s, %(proposals)s)
ON CONFLICT (part_id) DO UPDATE
SET made_at = excluded.made_at, class = excluded.class, method = excluded.method, weekly = excluded.weekly,
    predicted = excluded.predicted, position = excluded.position, reorder_at = excluded.reorder_at,
    up_to = excluded.up_to, proposals = excluded.proposals

-- name: plans
-- Plans by part, all or only those with something to do.
SELECT p.number AS part, p.name, p.unit, l.made_at, l.class AS class_, l.method, l.weekly, l.predicted, l.position,
       l.reorder_at, l.up_to, l.proposals
FROM part_plans l JOIN parts p ON p.id = l.part_id
WHERE (NOT %(to_do)s OR l.proposals <> '[]') AND (%(after)s::text IS NULL OR p.number > %(after)s)
ORDER BY p.number
LIMIT %(limit)s
