-- What is kept beside readings goes when they do: values that another one stood against, and pieces of device clocks.

ALTER TABLE expired ADD COLUMN contested bigint NOT NULL DEFAULT 0;  -- removed as well: the ledger still adds up

-- Contested values whose stream's readings of that time are removed, at most so many; returns how many went.
CREATE FUNCTION expire_contested(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
    removed bigint;
    chunk record;
BEGIN
    WITH over AS (
        SELECT c.stream_id, c.time, c.value
        FROM keeping k
        JOIN raw_from f ON f.stream_id = k.stream_id
        JOIN contested c ON c.stream_id = k.stream_id AND c.time < least(k.due_before, f.since)
        LIMIT most
    ), gone AS (
        DELETE FROM contested c USING over o
        WHERE c.stream_id = o.stream_id AND c.time = o.time AND c.value = o.value
        RETURNING c.stream_id
    ), noted AS (
        INSERT INTO expired (tenant, device, hour, readings, contested)
        SELECT s.tenant, s.device, date_trunc('hour', now()), 0, count(*) FROM gone JOIN streams s ON s.id = stream_id
        GROUP BY 1, 2
        ON CONFLICT (tenant, device, hour) DO UPDATE SET contested = expired.contested + excluded.contested
    )
    SELECT count(*) INTO removed FROM gone;
    IF removed = 0 THEN
        FOR chunk IN
            SELECT format('%I.%I', chunk_schema, chunk_name)::regclass AS id, range_start, range_end
            FROM timescaledb_information.chunks
            WHERE hypertable_schema = 'public' AND hypertable_name = 'contested'
              AND range_end <= (SELECT max(due_before) FROM keeping)
        LOOP
            BEGIN
                EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', chunk.id);
                EXECUTE format('SELECT count(*) FROM (SELECT FROM %s LIMIT 1) one', chunk.id) INTO removed;
                IF removed = 0 THEN
                    PERFORM drop_chunks('contested', older_than => chunk.range_end, newer_than => chunk.range_start);
                END IF;
            EXCEPTION WHEN lock_not_available THEN
                NULL;
            END;
        END LOOP;
        removed := 0;
    END IF;
    RETURN removed;
END $$;

-- Pieces of clocks that nothing which is there was mended by, at most so many; returns how many went. A run loses its
-- lowest ones only, so that no stamp is mended by another piece than before while what it gave is kept; and a device
-- never the one that was made last: without any, its stamps would be taken for such as were stored as they came.
CREATE FUNCTION expire_clock_pieces(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH over AS (
        SELECT s.tenant, s.device,
               least(min(least(k.due_before, f.since)),
                     (SELECT min(w.time) FROM waveforms w WHERE w.tenant = s.tenant AND w.device = s.device)) AS before
        FROM streams s
        LEFT JOIN keeping k ON k.stream_id = s.id
        LEFT JOIN raw_from f ON f.stream_id = s.id
        WHERE EXISTS (SELECT FROM clock_pieces p WHERE p.tenant = s.tenant AND p.device = s.device)
        GROUP BY 1, 2
        HAVING bool_and(k.due_before IS NOT NULL AND f.since IS NOT NULL)
    ), ends AS (
        SELECT p.tenant, p.device, p.boot, p.from_us, over.before,
               max(p.used_us + p.shift_us + p.rate_ppm * (p.used_us - p.from_us) / 1000000) OVER run AS end_us,
               row_number() OVER (PARTITION BY p.tenant, p.device ORDER BY p.made_at DESC, p.from_us DESC) AS place
        FROM clock_pieces p JOIN over ON over.tenant = p.tenant AND over.device = p.device
        WINDOW run AS (PARTITION BY p.tenant, p.device, p.boot ORDER BY p.from_us)
    ), gone AS (
        SELECT e.tenant, e.device, e.boot, e.from_us
        FROM ends e
        WHERE e.place > 1 AND e.end_us < extract(epoch FROM e.before) * 1000000
        ORDER BY e.tenant, e.device, e.boot, e.from_us
        LIMIT most
    ), removed AS (
        DELETE FROM clock_pieces p USING gone g
        WHERE p.tenant = g.tenant AND p.device = g.device AND p.boot = g.boot AND p.from_us = g.from_us
        RETURNING 1
    )
    SELECT count(*) FROM removed
$$;

REVOKE ALL ON FUNCTION expire_contested(integer), expire_clock_pieces(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION expire_contested(integer), expire_clock_pieces(integer) TO bellwether_notify;
