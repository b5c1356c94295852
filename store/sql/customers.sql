-- name: customers
-- A page of customers in the order of their numbers, with how many machines each has.
SELECT c.id, c.number, c.name, c.contact, c.tier, c.notes, c.changed_at, c.changed_by, c.erased_at,
       (SELECT count(*) FROM device_files f WHERE f.customer_id = c.id) AS devices
FROM customers c
WHERE (%(after)s::text IS NULL OR c.number > %(after)s)
  AND (%(like)s::text IS NULL OR strpos(lower(c.name || ' ' || c.number), lower(%(like)s)) > 0)
ORDER BY c.number
LIMIT %(limit)s

-- name: customer
-- One customer.
SELECT c.id, c.number, c.name, c.contact, c.tier, c.notes, c.changed_at, c.changed_by, c.erased_at,
       (SELECT count(*) FROM device_files f WHERE f.customer_id = c.id) AS devices
FROM customers c
WHERE c.id = %(id)s

-- name: create
-- A new customer, unless the number is taken.
INSERT INTO customers (tenant, number, name, contact, tier, notes, changed_by)
VALUES (%(tenant)s, %(number)s, %(name)s, %(contact)s, %(tier)s, %(notes)s, %(who)s)
ON CONFLICT (tenant, number) DO NOTHING
RETURNING id

-- name: change
-- All of it but the number anew.
UPDATE customers
SET name = %(name)s, contact = %(contact)s, tier = %(tier)s, notes = %(notes)s, changed_at = now(), changed_by = %(who)s
WHERE id = %(id)s AND erased_at IS NULL
RETURNING id

-- name: import
-- A customer of a table: what it does not say stays as it was. Whether it is new.
INSERT INTO customers AS c (tenant, number, name, contact, tier, notes, changed_by)
VALUES (%(tenant)s, %(number)s, %(name)s, coalesce(%(contact)s, ''), coalesce(%(tier)s, 'regular'),
        coalesce(%(notes)s, ''), %(who)s)
ON CONFLICT (tenant, number) DO UPDATE
SET name = excluded.name, contact = coalesce(%(contact)s, c.contact), tier = coalesce(%(tier)s, c.tier),
    notes = coalesce(%(notes)s, c.notes), changed_at = now(), changed_by = excluded.changed_by
WHERE c.erased_at IS NULL
RETURNING xmax = 0

-- name: id_of_number
-- The customer that the tenant's books call so.
SELECT id FROM customers WHERE number = %(number)s

-- name: file
-- A device's file; of one that has none what is taken of it.
SELECT d.device, d.model, d.kind, d.site, coalesce(f.serial, '') AS serial, c.number AS customer,
       c.name AS customer_name, coalesce(c.tier, 'regular') AS tier, f.purchased_on, f.warranty_until,
       coalesce(f.criticality, 'B') AS criticality, coalesce(f.is_safety_equipment, false) AS safety_equipment,
       f.changed_at, coalesce(f.changed_by, '') AS changed_by
FROM devices d
LEFT JOIN device_files f ON f.device_id = d.id
LEFT JOIN customers c ON c.id = f.customer_id
WHERE d.device = %(device)s AND is_for_owner(customer_of_device(d.id))

-- name: keep_file
-- All of a device's file anew.
INSERT INTO device_files (device_id, tenant, serial, customer_id, purchased_on, warranty_until, criticality,
                          is_safety_equipment, changed_by)
SELECT id, tenant, %(serial)s, %(customer_id)s, %(purchased_on)s, %(warranty_until)s, %(criticality)s,
       %(safety_equipment)s, %(who)s
FROM devices WHERE device = %(device)s
ON CONFLICT (device_id) DO UPDATE
SET serial = excluded.serial, customer_id = excluded.customer_id, purchased_on = excluded.purchased_on,
    warranty_until = excluded.warranty_until, criticality = excluded.criticality,
    is_safety_equipment = excluded.is_safety_equipment, changed_at = now(), changed_by = excluded.changed_by
RETURNING device_id

-- name: known_devices
-- Which of these devices there are.
SELECT device FROM devices WHERE device = ANY(%(devices)s)

-- name: contact
-- Whom to call.
SELECT contact FROM customers WHERE number = %(number)s
