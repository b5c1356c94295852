-- An owner of equipment sees the machines that belong to their customer, and of readings, waveforms, alarms, events and
-- whatever else is of a machine or of its ticket what is theirs alone (see 031 for whom `bellwether.customer` names).
--
-- `devices` says it once; what refers to a machine, a stream, an alarm or a ticket is seen where that is seen. For who is
-- not narrowed, each of these conditions is one comparison with an empty setting.

CREATE FUNCTION is_narrowed() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('bellwether.customer', true), '') <> ''
$$;

-- What runs with its owner's rights, past the policies, asks here.
CREATE FUNCTION is_owners_device(of_tenant text, of_device text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM devices d LEFT JOIN device_files f ON f.device_id = d.id
                   WHERE d.tenant = of_tenant AND d.device = of_device AND is_for_owner(f.customer_id))
$$;
REVOKE ALL ON FUNCTION is_owners_device(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_owners_device(text, text) TO bellwether_api;

CREATE POLICY own_of_owner ON devices AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR is_for_owner(customer_of_device(id)));

DO $$
DECLARE
    refers record;
BEGIN
    FOR refers IN
        SELECT DISTINCT ON (c.oid) c.relname AS name, way.condition
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN (VALUES
            (1, 'device_id', 'SELECT FROM devices d WHERE d.id = %1$I.device_id'),
            (2, 'ticket_id', 'SELECT FROM tickets t WHERE t.id = %1$I.ticket_id'),
            (3, 'occurrence_id', 'SELECT FROM alarms a WHERE a.id = %1$I.occurrence_id'),
            (3, 'alarm_id', 'SELECT FROM alarms a WHERE a.id = %1$I.alarm_id'),
            (4, 'stream_id', 'SELECT FROM streams s WHERE s.id = %1$I.stream_id'),
            (5, 'device', 'SELECT FROM devices d WHERE d.tenant = %1$I.tenant AND d.device = %1$I.device')
        ) way (rank, refers_by, condition) ON way.refers_by = a.attname
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relrowsecurity
          AND (has_table_privilege('bellwether_api', c.oid, 'SELECT') OR has_any_column_privilege('bellwether_api', c.oid, 'SELECT'))
          AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'own_of_owner')
        ORDER BY c.oid, way.rank
    LOOP
        EXECUTE format('CREATE POLICY own_of_owner ON %1$I AS RESTRICTIVE TO bellwether_api
                        USING (NOT is_narrowed() OR EXISTS (' || refers.condition || '))', refers.name);
    END LOOP;
END $$;

-- Work on a whole site, and its floods, are seen by who has a machine there.
DROP POLICY own_of_owner ON maintenance_windows;
CREATE POLICY own_of_owner ON maintenance_windows AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR EXISTS (SELECT FROM devices d WHERE d.tenant = maintenance_windows.tenant
                                        AND (d.device = maintenance_windows.device OR d.site = maintenance_windows.site)));
CREATE POLICY own_of_owner ON alarm_floods AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR EXISTS (SELECT FROM devices d WHERE d.tenant = alarm_floods.tenant AND d.site = alarm_floods.site));
CREATE POLICY own_of_owner ON live_events AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR EXISTS (SELECT FROM devices d WHERE d.tenant = live_events.tenant AND d.device = live_events.body ->> 'device'));

CREATE OR REPLACE VIEW tenant_readings WITH (security_barrier) AS
    SELECT r.time, r.stream_id, r.value, r.quality
    FROM readings r JOIN streams s ON s.id = r.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true)
      AND (NOT is_narrowed() OR is_owners_device(s.tenant, s.device));
CREATE OR REPLACE VIEW tenant_readings_1m WITH (security_barrier) AS
    SELECT r.bucket, r.stream_id, r.n, r.min, r.max, r.mean, r.last
    FROM readings_1m r JOIN streams s ON s.id = r.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true)
      AND (NOT is_narrowed() OR is_owners_device(s.tenant, s.device));
CREATE OR REPLACE VIEW tenant_readings_1h WITH (security_barrier) AS
    SELECT r.bucket, r.stream_id, r.n, r.min, r.max, r.mean, r.last
    FROM readings_1h r JOIN streams s ON s.id = r.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true)
      AND (NOT is_narrowed() OR is_owners_device(s.tenant, s.device));
CREATE OR REPLACE VIEW tenant_contested WITH (security_barrier) AS
    SELECT c.time, c.stream_id, c.value, c.quality
    FROM contested c JOIN streams s ON s.id = c.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true)
      AND (NOT is_narrowed() OR is_owners_device(s.tenant, s.device));
CREATE OR REPLACE VIEW tenant_waveforms WITH (security_barrier) AS
    SELECT id, time, tenant, device, axis, rate_hz, shaft_rpm, unit, scale, value_offset, sample_type, sample_count, quality,
           contested, received_at, packing, samples
    FROM waveforms
    WHERE tenant = current_setting('bellwether.tenant', true)
      AND (NOT is_narrowed() OR is_owners_device(tenant, device));
CREATE OR REPLACE VIEW tenant_rejects WITH (security_barrier) AS
    SELECT r.at, r.tenant, r.device, r.topic, r.payload, r.bytes, r.reason,
           r.id, r.message, r.content_type, r.whole, r.played_at, r.outcome
    FROM rejects r
    WHERE r.tenant = current_setting('bellwether.tenant', true)
      AND (NOT is_narrowed() OR is_owners_device(r.tenant, r.device));

CREATE OR REPLACE FUNCTION latest_readings(wanted integer[], heard_since timestamptz)
RETURNS TABLE (stream integer, "time" timestamptz, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.id, r.time, r.value
    FROM streams s
    CROSS JOIN LATERAL (
        SELECT time, value FROM readings WHERE stream_id = s.id AND time > heard_since ORDER BY time DESC LIMIT 1
    ) r
    WHERE s.id = ANY (wanted) AND s.tenant = current_setting('bellwether.tenant', true)
      AND (NOT is_narrowed() OR is_owners_device(s.tenant, s.device));
END $$;

CREATE OR REPLACE FUNCTION sampled_readings(wanted integer[], starts_at timestamptz, width interval, steps integer)
RETURNS TABLE (stream integer, step integer, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.id, n, r.value
    FROM streams s CROSS JOIN generate_series(0, steps - 1) n
    CROSS JOIN LATERAL (
        SELECT value FROM readings
        WHERE stream_id = s.id AND time >= starts_at + n * width AND time < starts_at + (n + 1) * width
          AND time >= starts_at AND time < starts_at + steps * width
        ORDER BY time DESC LIMIT 1
    ) r
    WHERE s.id = ANY (wanted) AND s.tenant = current_setting('bellwether.tenant', true)
      AND (NOT is_narrowed() OR is_owners_device(s.tenant, s.device))
    ORDER BY 1, 2;
END $$;
