-- A fleet at a glance, at a cost that does not grow with its history.
--
-- latest_reading looks at every chunk of history to leave out the old ones, each time it is called: 4 ms a stream over a
-- year. Here they are left out once for all of the streams.

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
REVOKE ALL ON FUNCTION latest_readings(integer[], timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION latest_readings(integer[], timestamptz) TO bellwether_api;

-- Of years of alarms those that still matter: a page of them, and those of one device.
CREATE INDEX alarms_open ON alarms (tenant, raised_at DESC, id DESC) WHERE state <> 'normal';
CREATE INDEX alarms_open_of_device ON alarms (device_id) WHERE state <> 'normal';
