-- The latest reading of a stream, and samples of it, at the cost of an index probe.
--
-- Through tenant_readings the server may use no order of the index: it joins the streams to find the tenant, and reads
-- all there is of a stream to find its last reading. These look at the tenant first and at the hypertable itself then.

CREATE FUNCTION latest_reading(stream integer, heard_since timestamptz)
RETURNS TABLE ("time" timestamptz, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp ROWS 1 AS $$
#variable_conflict use_column
BEGIN
    IF EXISTS (SELECT FROM streams s
               WHERE s.id = stream AND s.tenant = current_setting('bellwether.tenant', true)) THEN
        RETURN QUERY SELECT r.time, r.value FROM readings r
                     WHERE r.stream_id = stream AND r.time > heard_since
                     ORDER BY r.time DESC LIMIT 1;
    END IF;
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

REVOKE ALL ON FUNCTION latest_reading(integer, timestamptz),
                       sampled_readings(integer[], timestamptz, interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION latest_reading(integer, timestamptz),
                          sampled_readings(integer[], timestamptz, interval, integer) TO bellwether_api;
