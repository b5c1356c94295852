-- name: reserve
-- What a ticket asks for; it waits until it is planned.
INSERT INTO part_reservations (tenant, ticket_id, part_id, wanted_id, quantity, state, made_at, made_by, promised_at, expires_at)
VALUES (%(tenant)s, %(ticket)s, %(part)s, %(wanted)s, %(quantity)s, 'waiting', %(now)s, %(who)s, %(promised_at)s, %(expires_at)s)
RETURNING id

-- name: standing
-- Everybody who needs a part, held until the transaction ends: one whose ticket ends meanwhile is gone then.
SELECT r.id, r.ticket_id AS ticket, t.priority, r.made_at, r.quantity, r.place_id AS place, r.wanted_id AS wanted,
       (SELECT v.id FROM part_places v WHERE v.tenant = r.tenant AND v.kind = 'van' AND v.engineer = t.assignee
          AND v.closed_at IS NULL) AS van,
       d.site AS region
FROM part_reservations r JOIN tickets t ON t.id = r.ticket_id JOIN devices d ON d.id = t.device_id
WHERE r.part_id = %(part)s AND r.ended_at IS NULL
ORDER BY r.id
FOR UPDATE OF r

-- name: shelves
-- What of a part can be used, place by place: on shelves and on its way.
SELECT p.id AS place, p.kind, p.region,
       coalesce(sum(s.quantity) FILTER (WHERE l.expires_on IS NULL OR l.expires_on >= %(today)s), 0)::bigint AS usable
FROM part_stock s JOIN part_places p ON p.id = s.place_id JOIN part_lots l ON l.id = s.lot_id
WHERE s.part_id = %(part)s AND p.kind IN ('central', 'regional', 'city', 'van', 'transit') AND p.closed_at IS NULL
GROUP BY p.id

-- name: place
-- Where a reservation is held from now on, as long as the tenant says once it was waited for; NULL: it waits.
UPDATE part_reservations r
SET place_id = %(place)s, state = CASE WHEN %(place)s::int IS NULL THEN 'waiting' ELSE 'held' END,
    expires_at = CASE WHEN r.state = 'waiting' AND %(place)s::int IS NOT NULL
                      THEN %(now)s + make_interval(days => coalesce((SELECT p.held_days FROM part_policies p
                                                                     WHERE p.tenant = r.tenant), %(held_days)s))
                      ELSE r.expires_at END
WHERE r.id = %(id)s

-- name: end_reservation
-- It is over.
UPDATE part_reservations SET state = %(state)s, ended_at = %(now)s WHERE id = %(id)s AND ended_at IS NULL

-- name: expire
-- Nobody has come for it in time, as it stands now: it may have been taken, or wait again.
UPDATE part_reservations SET state = 'expired', ended_at = %(now)s
WHERE id = %(id)s AND state = 'held' AND expires_at <= %(now)s

-- name: part_of
-- Which part a reservation that stands is of: what must be locked before it is looked at.
SELECT r.part_id, p.number FROM part_reservations r JOIN parts p ON p.id = r.part_id
WHERE r.id = %(id)s AND r.ticket_id = %(ticket)s

-- name: reservations
-- What a ticket has asked for, in order.
SELECT r.id, p.number AS part, p.name, p.unit, p.serialised, r.quantity, r.state, d.kind AS place_kind, d.name AS place,
       r.place_id, r.made_at, r.made_by, r.promised_at, r.expires_at, r.ended_at
FROM part_reservations r JOIN parts p ON p.id = r.part_id LEFT JOIN part_places d ON d.id = r.place_id
WHERE r.ticket_id = %(ticket)s
ORDER BY r.made_at, r.id

-- name: name_of_place
-- What a place is called.
SELECT name FROM part_places WHERE id = %(place)s

-- name: model_of_ticket
-- Of which model a ticket's machine is.
SELECT d.model FROM tickets t JOIN devices d ON d.id = t.device_id WHERE t.id = %(ticket)s

-- name: lock_ticket
-- Hold a ticket until the transaction ends. Others may write to its story meanwhile.
SELECT state FROM tickets WHERE id = %(ticket)s FOR NO KEY UPDATE

-- name: over
-- Reservations that nobody has come for in time. Who waits for a part keeps waiting: there was nothing to come for.
SELECT id, tenant, ticket_id, part_id FROM part_reservations
WHERE ended_at IS NULL AND state = 'held' AND expires_at <= %(now)s
ORDER BY part_id, id
LIMIT %(limit)s

-- name: unserved
-- Parts that somebody waits for, or that are held where some of them expired: a ticket may have ended, or become urgent.
SELECT DISTINCT r.tenant, r.part_id
FROM part_reservations r
WHERE r.ended_at IS NULL
  AND (r.state = 'waiting' OR EXISTS (
      SELECT FROM part_stock s JOIN part_lots l ON l.id = s.lot_id
      WHERE s.place_id = r.place_id AND s.part_id = r.part_id AND s.quantity > 0 AND l.expires_on < %(today)s))
ORDER BY r.part_id

-- name: number_of
-- Which part a reservation is of.
SELECT p.number FROM part_reservations r JOIN parts p ON p.id = r.part_id WHERE r.id = %(id)s
