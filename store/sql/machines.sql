-- name: machine
-- What a device's owner said of the machine it sits on.
SELECT machine FROM devices WHERE device = %(device)s

-- name: said_of_machine
-- Who said last what a machine is.
SELECT s.who, s.at FROM machine_said s JOIN devices d ON d.id = s.device_id
WHERE d.device = %(device)s
ORDER BY s.at DESC, s.id DESC
LIMIT 1

-- name: set_machine
-- All of it anew: what is not said any more is not known any more. Who said what stays.
WITH said AS (
    UPDATE devices SET machine = %(facts)s WHERE device = %(device)s RETURNING id, tenant
)
INSERT INTO machine_said (device_id, tenant, who, facts) SELECT id, tenant, %(who)s, %(facts)s FROM said RETURNING id
