-- A fleet at a glance, at a cost that does not grow with its history.
--
-- Through tenant_readings the server may use no order of the index: it joins the streams to find the tenant, and reads
-- all there is of a stream to find its last reading. These look at the tenant first, and at the hypertable itself then.

-- The latest reading of each stream. Chunks too old to matter are left out once for all of them.
CREATE FUNCTION latest_readings(wanted integer[], heard_since timestamptz)
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
    WHERE s.id = ANY (wanted) AND s.tenant = current_setting('bellwether.tenant', true);
END $$;

-- The last reading of each of so many steps of a span; a step without one is not there.
CREATE FUNCTION sampled_readings(wanted integer[], starts_at timestamptz, width interval, steps integer)
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
    ORDER BY 1, 2;
END $$;

REVOKE ALL ON FUNCTION latest_readings(integer[], timestamptz),
                       sampled_readings(integer[], timestamptz, interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION latest_readings(integer[], timestamptz),
                          sampled_readings(integer[], timestamptz, interval, integer) TO bellwether_api;

-- Of years of alarms those that still matter: a page of them, and those of one device.
CREATE INDEX alarms_open ON alarms (tenant, raised_at DESC, id DESC) WHERE state <> 'normal';
CREATE INDEX alarms_open_of_device ON alarms (device_id) WHERE state <> 'normal';
