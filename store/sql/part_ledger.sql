-- name: move
-- Rows of the ledger, in one statement: the stock follows from it as one.
INSERT INTO part_moves (tenant, at, kind, part_id, lot_id, from_id, to_id, quantity, serial, replaces, ticket_id, who, note)
SELECT %(tenant)s, %(now)s, %(kind)s, line.part_id, line.lot_id, line.from_id, %(to)s, line.quantity, line.serial,
       line.replaces, %(ticket)s, %(who)s, %(note)s
FROM unnest(%(parts)s::int[], %(lots)s::int[], %(from)s::int[], %(quantities)s::bigint[], %(serials)s::text[],
            %(replaces)s::text[]) AS line (part_id, lot_id, from_id, quantity, serial, replaces)
RETURNING id

-- name: make_lot
-- A lot that was not known. One that is there already keeps what was said of it.
INSERT INTO part_lots (tenant, part_id, lot, expires_on) VALUES (%(tenant)s, %(part)s, %(lot)s, %(expires_on)s)
ON CONFLICT DO NOTHING

-- name: lot_named
-- A lot of a part.
SELECT id, expires_on FROM part_lots WHERE part_id = %(part)s AND lot = %(lot)s

-- name: lots_at
-- What is at a place of a part, lot by lot.
SELECT s.lot_id, l.lot, l.expires_on, s.quantity
FROM part_stock s JOIN part_lots l ON l.id = s.lot_id
WHERE s.part_id = %(part)s AND s.place_id = %(place)s AND s.quantity > 0
ORDER BY l.expires_on NULLS LAST, l.id

-- name: items
-- Where serial numbers of a part are.
SELECT i.serial, i.lot_id, i.place_id, p.kind, p.name, l.lot, l.expires_on
FROM part_items i JOIN part_places p ON p.id = i.place_id JOIN part_lots l ON l.id = i.lot_id
WHERE i.part_id = %(part)s AND i.serial = ANY(%(serials)s)

-- name: items_at
-- Serial numbers of a part at a place.
SELECT serial FROM part_items WHERE part_id = %(part)s AND place_id = %(place)s ORDER BY serial

-- name: free_at
-- What of a part is at a place, has not expired, and is held for nobody.
SELECT coalesce((SELECT sum(s.quantity) FROM part_stock s JOIN part_lots l ON l.id = s.lot_id
                 WHERE s.part_id = %(part)s AND s.place_id = %(place)s
                   AND (l.expires_on IS NULL OR l.expires_on >= %(today)s)), 0)::bigint,
       coalesce((SELECT sum(r.quantity) FROM part_reservations r
                 WHERE r.part_id = %(part)s AND r.place_id = %(place)s AND r.state = 'held'), 0)::bigint

-- name: moves
-- The ledger, newest first.
SELECT m.id, m.at, m.kind, p.number AS part, p.unit, f.kind AS from_kind, f.name AS from_name, t.kind AS to_kind,
       t.name AS to_name, m.quantity, l.lot, l.expires_on, m.serial, m.replaces, m.ticket_id, m.who, m.note
FROM part_moves m
JOIN parts p ON p.id = m.part_id
JOIN part_lots l ON l.id = m.lot_id
JOIN part_places f ON f.id = m.from_id
JOIN part_places t ON t.id = m.to_id
WHERE (%(part)s::text IS NULL OR p.number = %(part)s)
  AND (%(serial)s::text IS NULL OR m.serial = %(serial)s OR m.replaces = %(serial)s)
  AND (%(depot)s::text IS NULL OR %(depot)s IN (f.name, t.name))
  AND (%(ticket)s::uuid IS NULL OR m.ticket_id = %(ticket)s)
  AND (%(kind)s::text IS NULL OR m.kind = %(kind)s)
  AND (%(after_at)s::timestamptz IS NULL OR (m.at, m.id) < (%(after_at)s, %(after_id)s))
ORDER BY m.at DESC, m.id DESC
LIMIT %(limit)s

-- name: stock
-- What lies where: each part at each depot and in each van.
SELECT p.number AS part, p.name, p.unit, p.value, p.currency, p.low_at, d.name AS depot, d.kind, d.region,
       sum(s.quantity)::bigint AS on_hand,
       coalesce(sum(s.quantity) FILTER (WHERE l.expires_on < %(today)s), 0)::bigint AS expired,
       min(l.expires_on) FILTER (WHERE s.quantity > 0) AS expires_on,
       coalesce((SELECT sum(r.quantity) FROM part_reservations r
                 WHERE r.part_id = p.id AND r.place_id = d.id AND r.state = 'held'), 0)::bigint AS held
FROM part_stock s
JOIN parts p ON p.id = s.part_id
JOIN part_places d ON d.id = s.place_id
JOIN part_lots l ON l.id = s.lot_id
WHERE d.kind IN ('central', 'regional', 'city', 'van')
  AND (%(part)s::text IS NULL OR p.number = %(part)s)
  AND (%(like)s::text IS NULL OR strpos(lower(p.number || ' ' || p.name), lower(%(like)s)) > 0)
  AND (%(depot)s::text IS NULL OR d.name = %(depot)s)
  AND (%(after_part)s::text IS NULL OR (p.number, d.name) > (%(after_part)s, %(after_depot)s))
GROUP BY p.id, d.id
HAVING sum(s.quantity) > 0
ORDER BY p.number, d.name
LIMIT %(limit)s OFFSET %(had)s

-- name: expiring
-- Lots on shelves that have expired, or do so until a day; the first first.
SELECT p.number AS part, p.name, p.unit, d.name AS depot, l.lot, l.expires_on, s.quantity
FROM part_stock s
JOIN parts p ON p.id = s.part_id
JOIN part_places d ON d.id = s.place_id
JOIN part_lots l ON l.id = s.lot_id
WHERE s.quantity > 0 AND l.expires_on <= %(until)s AND d.kind IN ('central', 'regional', 'city', 'van')
ORDER BY l.expires_on, p.number, d.name
LIMIT %(limit)s

-- name: worth
-- What all that lies on shelves, or is on its way between them, is worth, by currency.
SELECT p.currency, sum(s.quantity * p.value) AS value
FROM part_stock s JOIN parts p ON p.id = s.part_id JOIN part_places d ON d.id = s.place_id
WHERE d.kind IN ('central', 'regional', 'city', 'van', 'transit') AND s.quantity > 0
GROUP BY p.currency ORDER BY p.currency

-- name: send
-- A transfer that has begun.
INSERT INTO part_transfers (id, tenant, transit_id, from_id, to_id, sent_at, sent_by, note)
VALUES (%(id)s, %(tenant)s, %(transit)s, %(from)s, %(to)s, %(now)s, %(who)s, %(note)s)

-- name: lock_transfer
-- One that is received is received once.
SELECT transit_id, received_at FROM part_transfers WHERE id = %(id)s FOR UPDATE

-- name: receive
-- It is over.
UPDATE part_transfers SET received_at = %(now)s, received_by = %(who)s WHERE id = %(id)s

-- name: transfers
-- Transfers, newest first.
SELECT x.id, x.transit_id, f.name AS from_, t.name AS "to", x.sent_at, x.sent_by, x.note, x.received_at, x.received_by
FROM part_transfers x JOIN part_places f ON f.id = x.from_id JOIN part_places t ON t.id = x.to_id
WHERE (%(id)s::uuid IS NULL OR x.id = %(id)s)
  AND (NOT %(under_way)s OR x.received_at IS NULL)
  AND (%(after_at)s::timestamptz IS NULL OR (x.sent_at, x.id) < (%(after_at)s, %(after_id)s))
ORDER BY x.sent_at DESC, x.id DESC
LIMIT %(limit)s

-- name: loads
-- What transfers had, what of it arrived, and what did not.
SELECT m.place_id, p.id AS part_id, p.number AS part, p.unit, m.lot_id, l.lot, m.serial,
       sum(m.quantity) FILTER (WHERE m.kind = 'sent')::bigint AS sent,
       coalesce(sum(m.quantity) FILTER (WHERE m.kind = 'arrived'), 0)::bigint AS arrived,
       coalesce(sum(m.quantity) FILTER (WHERE m.kind = 'lost'), 0)::bigint AS lost
FROM (SELECT to_id AS place_id, part_id, lot_id, serial, kind, quantity FROM part_moves WHERE to_id = ANY(%(places)s)
      UNION ALL
      SELECT from_id, part_id, lot_id, serial, kind, quantity FROM part_moves WHERE from_id = ANY(%(places)s)) m
JOIN parts p ON p.id = m.part_id JOIN part_lots l ON l.id = m.lot_id
GROUP BY m.place_id, p.id, m.lot_id, l.lot, m.serial
ORDER BY m.place_id, p.number, l.lot, m.serial

-- name: reserved_there
-- Reservations that are at a place come along to another.
UPDATE part_reservations SET place_id = %(to)s WHERE place_id = %(from)s AND state = 'held' RETURNING part_id

-- name: along
-- A reservation at a place goes on its way with what it holds; how much that is.
UPDATE part_reservations r SET place_id = %(to)s
FROM parts p
WHERE r.id = %(id)s AND p.id = r.part_id AND p.number = %(part)s AND r.place_id = %(from)s AND r.state = 'held'
RETURNING r.quantity

-- name: totals
-- How it stands at a glance: parts, transfers on their way, who waits, and who waits for longer than was promised.
SELECT (SELECT count(*) FROM parts) AS parts,
       (SELECT count(*) FROM part_transfers WHERE received_at IS NULL) AS under_way,
       (SELECT count(*) FROM part_reservations WHERE state = 'waiting') AS waiting,
       (SELECT count(*) FROM part_reservations WHERE ended_at IS NULL AND promised_at < %(now)s) AS late
