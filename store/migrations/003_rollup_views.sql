-- The roll-ups as one tenant may see them.

CREATE VIEW tenant_readings_1m WITH (security_barrier) AS
    SELECT r.bucket, r.stream_id, r.n, r.min, r.max, r.mean, r.last
    FROM readings_1m r JOIN streams s ON s.id = r.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true);

CREATE VIEW tenant_readings_1h WITH (security_barrier) AS
    SELECT r.bucket, r.stream_id, r.n, r.min, r.max, r.mean, r.last
    FROM readings_1h r JOIN streams s ON s.id = r.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true);

GRANT SELECT ON tenant_readings_1m, tenant_readings_1h TO bellwether_api;
GRANT SELECT ON readings_1m, readings_1h TO bellwether_reader;
