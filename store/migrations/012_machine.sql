-- What a machine is built of, as far as its vibration is judged by it: bearing, teeth, blades, group and support of
-- ISO 20816-3, speed and power. Said by its owner; checked where it is said (api/machines.py), an empty object before.

ALTER TABLE devices ADD COLUMN machine jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(machine) = 'object');
GRANT UPDATE (machine) ON devices TO bellwether_api;
