-- name: device_of_serial
-- Which device has this serial number on its plate.
SELECT d.device
FROM device_files f JOIN devices d ON d.id = f.device_id
WHERE f.serial = %(serial)s AND is_for_owner(f.customer_id)

-- name: machines
-- What may be reported of: machines that are there, an owner's own.
SELECT d.device, d.model, d.site, coalesce(f.serial, '') AS serial
FROM devices d LEFT JOIN device_files f ON f.device_id = d.id
WHERE d.retired_at IS NULL AND is_for_owner(customer_of_device(d.id))
ORDER BY d.device
LIMIT %(limit)s

-- name: ticket_of_report
-- The ticket that a report belongs to, if it was taken already.
SELECT ticket_id FROM ticket_reports WHERE id = %(id)s

-- name: keep
-- What a person says; no row where somebody else's report has this id.
INSERT INTO ticket_reports (id, tenant, ticket_id, at, who, symptom, words, error_code, situation, began_at, contact,
                            service, windows)
VALUES (%(id)s, %(tenant)s, %(ticket_id)s, %(now)s, %(who)s, %(symptom)s, %(words)s, %(error_code)s, %(situation)s,
        %(began_at)s, %(contact)s, %(service)s, %(windows)s)
ON CONFLICT (id) DO NOTHING
RETURNING id

-- name: reports
-- What was said of a ticket's fault, the first first.
SELECT id, at, who, symptom, words, error_code, situation, began_at, contact, service, windows
FROM ticket_reports
WHERE ticket_id = %(id)s
ORDER BY at, id

-- name: surroundings
-- What is known of a ticket's machine and customer, what telemetry shows, and how much lies with it.
SELECT coalesce(f.serial, '') AS serial, coalesce(c.name, '') AS customer, coalesce(c.contact, '') AS contact,
       coalesce(s.quantity, '') AS quantity,
       coalesce((SELECT g.suspects -> 0 ->> 'failure_mode' FROM diagnoses g
                 WHERE g.ticket_id = t.id AND (g.suspects -> 0 ->> 'probability')::float8 >= %(least)s), '') AS failure_mode,
       coalesce((SELECT g.suspects -> 0 ->> 'name' FROM diagnoses g
                 WHERE g.ticket_id = t.id AND (g.suspects -> 0 ->> 'probability')::float8 >= %(least)s), '') AS probable,
       (SELECT count(*) FROM ticket_alarms a WHERE a.ticket_id = t.id)
       + (SELECT count(*) FROM attachments a WHERE a.ticket_id = t.id AND a.removed_at IS NULL) AS evidence
FROM tickets t
LEFT JOIN device_files f ON f.device_id = t.device_id
LEFT JOIN customers c ON c.id = f.customer_id
LEFT JOIN streams s ON s.device_id = t.device_id AND s.point = t.leading_point
WHERE t.id = %(id)s
