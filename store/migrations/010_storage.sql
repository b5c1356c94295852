-- Storage care: how long what is kept, roll-ups that outlive their readings, and who may do what about it.
--
-- A roll-up is computed from readings (a continuous aggregate, or a view) or, once its readings were removed, kept in a
-- table: `raw_from` says from when on a stream's readings are all there, and the views join the two at that moment.
-- Neither a refresh nor a late reading can therefore wipe what retention has left.

-- How long -------------------------------------------------------------------------------------------------------------

-- A class is a quantity, or `vibration` (all quantities of that name), or `raw` (any reading that no other class of the
-- tenant speaks of), or `waveforms`. What no row speaks of is kept for good.
CREATE TABLE retention (
    tenant     text NOT NULL REFERENCES tenants,
    class      text NOT NULL CHECK (class ~ '^[a-z0-9_]{1,64}$'),
    keep_days  integer NOT NULL CHECK (keep_days BETWEEN 1 AND 36500),
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (tenant, class)
);

-- Readings removed because their time was over, by device and hour of removal: what was stored, less these, is there.
CREATE TABLE expired (
    tenant   text NOT NULL,
    device   text NOT NULL,
    hour     timestamptz NOT NULL,
    readings bigint NOT NULL,
    PRIMARY KEY (tenant, device, hour)
);

-- From `since` on a stream's readings are all there; before, its roll-ups are kept ones. `looked_to` is how far
-- retention has come: a new look at everything, for readings that came later than their time, sets it back.
CREATE TABLE raw_from (
    stream_id integer PRIMARY KEY REFERENCES streams,
    since     timestamptz NOT NULL,
    looked_to timestamptz NOT NULL
);

CREATE TABLE kept_1m (
    bucket    timestamptz NOT NULL,
    stream_id integer NOT NULL,
    n         bigint NOT NULL,
    min       double precision NOT NULL,
    max       double precision NOT NULL,
    mean      double precision NOT NULL,
    last      double precision NOT NULL,
    PRIMARY KEY (stream_id, bucket)
);
SELECT create_hypertable('kept_1m', by_range('bucket', INTERVAL '30 days'), create_default_indexes => false);

CREATE TABLE kept_1h (LIKE kept_1m INCLUDING CONSTRAINTS, PRIMARY KEY (stream_id, bucket));
SELECT create_hypertable('kept_1h', by_range('bucket', INTERVAL '365 days'), create_default_indexes => false);

-- What was put in after the event: `rows` of the file are done, in the transaction that stored them.
CREATE TABLE backfills (
    id          bytea PRIMARY KEY,               -- SHA-256 of tenant, device and file
    tenant      text NOT NULL REFERENCES tenants,
    device      text NOT NULL,
    file        text NOT NULL,
    rows        bigint NOT NULL DEFAULT 0,
    stored      bigint NOT NULL DEFAULT 0,       -- readings
    duplicates  bigint NOT NULL DEFAULT 0,       -- readings that were there before
    expired     bigint NOT NULL DEFAULT 0,       -- readings whose time was over: not stored
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

-- Roll-ups -------------------------------------------------------------------------------------------------------------

DO $$
BEGIN
    IF EXISTS (SELECT FROM timescaledb_information.continuous_aggregates WHERE view_name = 'readings_1m') THEN
        ALTER MATERIALIZED VIEW readings_1m RENAME TO rollup_1m;
        ALTER MATERIALIZED VIEW readings_1h RENAME TO rollup_1h;
        -- From the beginning on: with a window, what comes later than it is never in its roll-up. Only what has changed
        -- is computed anew.
        PERFORM remove_continuous_aggregate_policy('rollup_1m'), remove_continuous_aggregate_policy('rollup_1h');
        PERFORM add_continuous_aggregate_policy('rollup_1m', NULL, INTERVAL '2 minutes', INTERVAL '5 minutes'),
                add_continuous_aggregate_policy('rollup_1h', NULL, INTERVAL '2 hours', INTERVAL '30 minutes');
    ELSE
        ALTER VIEW readings_1m RENAME TO rollup_1m;
        ALTER VIEW readings_1h RENAME TO rollup_1h;
    END IF;
END $$;

CREATE VIEW readings_1m AS
    SELECT r.bucket, r.stream_id, r.n, r.min, r.max, r.mean, r.last
    FROM rollup_1m r LEFT JOIN raw_from f ON f.stream_id = r.stream_id
    WHERE f.since IS NULL OR r.bucket >= f.since
    UNION ALL
    SELECT bucket, stream_id, n, min, max, mean, last FROM kept_1m;

CREATE VIEW readings_1h AS
    SELECT r.bucket, r.stream_id, r.n, r.min, r.max, r.mean, r.last
    FROM rollup_1h r LEFT JOIN raw_from f ON f.stream_id = r.stream_id
    WHERE f.since IS NULL OR r.bucket >= f.since
    UNION ALL
    SELECT bucket, stream_id, n, min, max, mean, last FROM kept_1h;

CREATE OR REPLACE VIEW tenant_readings_1m WITH (security_barrier) AS
    SELECT r.bucket, r.stream_id, r.n, r.min, r.max, r.mean, r.last
    FROM readings_1m r JOIN streams s ON s.id = r.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true);

CREATE OR REPLACE VIEW tenant_readings_1h WITH (security_barrier) AS
    SELECT r.bucket, r.stream_id, r.n, r.min, r.max, r.mean, r.last
    FROM readings_1h r JOIN streams s ON s.id = r.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true);

-- Removing -------------------------------------------------------------------------------------------------------------

-- From when on each stream's readings are kept: only streams that do not keep them for good.
CREATE VIEW keeping AS
    SELECT s.id AS stream_id, s.tenant, s.device, now() - make_interval(days => k.keep_days) AS due_before
    FROM streams s
    CROSS JOIN LATERAL (
        SELECT r.keep_days FROM retention r
        WHERE r.tenant = s.tenant
          AND r.class IN (s.quantity, CASE WHEN s.quantity LIKE 'vibration%' THEN 'vibration' END, 'raw')
        ORDER BY CASE r.class WHEN s.quantity THEN 0 WHEN 'vibration' THEN 1 ELSE 2 END
        LIMIT 1
    ) k;

-- One step of retention: some streams of the oldest chunk that holds what is due, or the chunk itself once nothing else
-- is in it. It decides by the settings alone: whoever calls it can remove nothing else. A chunk that somebody works on
-- is left for later. No row where nothing is left to do.
CREATE FUNCTION expire_some(streams_at_once integer, OUT chunk text, OUT streams integer, OUT readings bigint, OUT dropped boolean)
RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
#variable_conflict use_column
DECLARE
    c record;
    due integer[];
    whole boolean;
    earliest timestamptz;
    latest timestamptz;
    next_end timestamptz;
    this_hour timestamptz := date_trunc('hour', now());
    waited integer := 0;
BEGIN
    -- What is over for anybody, and for every stream of every tenant; and the oldest chunk with something to do. Streams
    -- are many, their times and how far they were looked through are few.
    WITH alike AS (
        SELECT k.due_before, coalesce(f.looked_to, '-infinity') AS looked_to
        FROM streams s
        LEFT JOIN keeping k ON k.stream_id = s.id
        LEFT JOIN raw_from f ON f.stream_id = s.id
        GROUP BY 1, 2
    )
    SELECT (SELECT max(due_before) FROM alike), (SELECT min(coalesce(due_before, '-infinity')) FROM alike),
           (SELECT min(c.range_end) FROM timescaledb_information.chunks c
            JOIN alike a ON a.due_before >= c.range_end AND a.looked_to < c.range_end
            WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'readings')
    INTO latest, earliest, next_end;
    IF latest IS NULL THEN
        RETURN;
    END IF;
    IF current_setting('timescaledb.license') = 'timescale' THEN
        -- Its limit is there for who does not mean it: a step is bounded by its streams.
        PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);
    END IF;
    FOR c IN
        SELECT format('%I.%I', chunk_schema, chunk_name)::regclass AS id, range_start, range_end
        FROM timescaledb_information.chunks
        WHERE hypertable_schema = 'public' AND hypertable_name = 'readings' AND range_end <= latest
        ORDER BY range_start
    LOOP
        whole := c.range_end <= earliest;
        IF c.range_end = next_end THEN
            due := ARRAY(
                SELECT k.stream_id FROM keeping k LEFT JOIN raw_from f ON f.stream_id = k.stream_id
                WHERE k.due_before >= c.range_end AND (f.looked_to IS NULL OR f.looked_to < c.range_end)
                ORDER BY k.stream_id LIMIT streams_at_once
            );
            WITH minutes AS (
                INSERT INTO kept_1m (bucket, stream_id, n, min, max, mean, last)
                SELECT time_bucket(INTERVAL '1 minute', time), stream_id, count(*), min(value), max(value), avg(value),
                       last(value, time)
                FROM readings
                WHERE stream_id = ANY (due) AND time >= c.range_start AND time < c.range_end
                GROUP BY 1, 2
                ON CONFLICT DO NOTHING
                RETURNING *
            )
            INSERT INTO kept_1h (bucket, stream_id, n, min, max, mean, last)
            SELECT time_bucket(INTERVAL '1 hour', bucket), stream_id, sum(n), min(min), max(max), sum(mean * n) / sum(n),
                   last(last, bucket)
            FROM minutes GROUP BY 1, 2
            ON CONFLICT DO NOTHING;
            readings := 0;
            IF NOT whole THEN  -- else they go with their chunk
                EXECUTE format('WITH removed AS (DELETE FROM %s WHERE stream_id = ANY ($1) RETURNING stream_id),
                                     counted AS (SELECT stream_id, count(*) AS n FROM removed GROUP BY 1),
                                     noted AS (
                                         INSERT INTO expired (tenant, device, hour, readings)
                                         SELECT s.tenant, s.device, $2, sum(n) FROM counted JOIN streams s ON s.id = stream_id
                                         GROUP BY 1, 2
                                         ON CONFLICT (tenant, device, hour)
                                         DO UPDATE SET readings = expired.readings + excluded.readings)
                                SELECT coalesce(sum(n), 0) FROM counted', c.id)
                INTO readings USING due, this_hour;
            END IF;
            INSERT INTO raw_from (stream_id, since, looked_to)
            SELECT stream_id, c.range_end, c.range_end FROM unnest(due) AS stream_id
            ON CONFLICT (stream_id) DO UPDATE SET since = greatest(raw_from.since, excluded.since),
                                                  looked_to = excluded.looked_to;
            chunk := c.id; streams := cardinality(due); dropped := false;
            RETURN NEXT;
            RETURN;
        END IF;
        BEGIN
            IF NOT whole THEN
                EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s)', c.id) INTO whole;
            END IF;
            IF whole THEN
                -- Nothing may come between counting and removing. Nobody else writes to a chunk as old as this, or is
                -- waited for in vain.
                EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', c.id);
                EXECUTE format('WITH counted AS (SELECT stream_id, count(*) AS n FROM %s GROUP BY 1),
                                     noted AS (
                                         INSERT INTO expired (tenant, device, hour, readings)
                                         SELECT s.tenant, s.device, $1, sum(n) FROM counted JOIN streams s ON s.id = stream_id
                                         GROUP BY 1, 2
                                         ON CONFLICT (tenant, device, hour)
                                         DO UPDATE SET readings = expired.readings + excluded.readings)
                                SELECT coalesce(sum(n), 0) FROM counted', c.id)
                INTO readings USING this_hour;
                chunk := c.id; streams := 0; dropped := true;
                PERFORM drop_chunks('readings', older_than => c.range_end, newer_than => c.range_start);
                RETURN NEXT;
                RETURN;
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            waited := waited + 1;
            EXIT WHEN waited = 3;  -- whoever reads everything, a backup say, is at the others too
        END;
    END LOOP;
END $$;

-- Blocks of vibration whose time is over, the oldest so many of them; returns how many went.
CREATE FUNCTION expire_waveforms(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
    removed bigint;
    c record;
BEGIN
    DELETE FROM waveforms w USING (
        SELECT o.id, o.time FROM retention r
        CROSS JOIN LATERAL (
            SELECT id, time FROM waveforms
            WHERE tenant = r.tenant AND time < now() - make_interval(days => r.keep_days)
            ORDER BY time LIMIT most
        ) o
        WHERE r.class = 'waveforms'
        LIMIT most
    ) due
    WHERE w.id = due.id AND w.time = due.time;
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed = 0 THEN
        FOR c IN
            SELECT format('%I.%I', chunk_schema, chunk_name)::regclass AS id, range_start, range_end
            FROM timescaledb_information.chunks
            WHERE hypertable_schema = 'public' AND hypertable_name = 'waveforms'
              AND range_end <= now() - make_interval(days => (SELECT min(keep_days) FROM retention WHERE class = 'waveforms'))
        LOOP
            BEGIN
                EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', c.id);
                EXECUTE format('SELECT count(*) FROM (SELECT FROM %s LIMIT 1) one', c.id) INTO removed;
                IF removed = 0 THEN
                    PERFORM drop_chunks('waveforms', older_than => c.range_end, newer_than => c.range_start);
                END IF;
            EXCEPTION WHEN lock_not_available THEN
                NULL;
            END;
        END LOOP;
        removed := 0;
    END IF;
    RETURN removed;
END $$;

-- Look at everything once more: for readings that came after their time was over.
CREATE FUNCTION expire_afresh() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE raw_from SET looked_to = '-infinity'
$$;

-- The width of the chunks to come. Those there stay as they are.
CREATE FUNCTION widen_chunks(hours integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF hours NOT BETWEEN 1 AND 720 THEN
        RAISE EXCEPTION 'a chunk is 1 to 720 hours wide';
    END IF;
    PERFORM set_chunk_time_interval('readings', make_interval(hours => hours));
END $$;

REVOKE ALL ON FUNCTION expire_some(integer), expire_waveforms(integer), expire_afresh(), widen_chunks(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION expire_some(integer), expire_waveforms(integer), expire_afresh(), widen_chunks(integer) TO bellwether_notify;

-- Figures --------------------------------------------------------------------------------------------------------------

CREATE INDEX ledger_hour ON ledger (hour);

-- Sums over all tenants, by name: what anybody who watches over the whole may know.
CREATE FUNCTION figures() RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH day AS (
        SELECT sum(messages) AS messages, sum(stored) AS stored, sum(duplicates) AS duplicates, sum(late) AS late,
               sum(rejected) AS rejected, sum(contested) AS contested, sum(dropped) AS dropped, sum(missing) AS missing
        FROM ledger WHERE hour >= date_trunc('hour', now()) - INTERVAL '23 hours'
    )
    SELECT 'ledger', l.label, coalesce(l.value, 0)::float8
    FROM day CROSS JOIN LATERAL (VALUES ('messages', messages), ('stored', stored), ('duplicates', duplicates),
                                        ('late', late), ('rejected', rejected), ('contested', contested),
                                        ('dropped', dropped), ('missing', missing)) AS l (label, value)
    UNION ALL SELECT 'heartbeat_age_seconds', role, extract(epoch FROM now() - at) FROM heartbeats
    UNION ALL SELECT 'devices', CASE WHEN online THEN 'online' WHEN online IS NULL THEN 'unknown' ELSE 'offline' END, count(*)
              FROM devices GROUP BY 2
    UNION ALL SELECT 'alarms_active', severity, count(*) FROM alarms WHERE active GROUP BY 2
    UNION ALL SELECT 'alarms_unacknowledged', '', count(*) FROM alarms
              WHERE state IN ('unacknowledged', 'returned_unacknowledged')
    UNION ALL SELECT 'tickets_open', priority, count(*) FROM tickets WHERE state NOT IN ('closed', 'cancelled') GROUP BY 2
    UNION ALL SELECT 'outbox_waiting', '', count(*) FROM outbox WHERE delivered_at IS NULL AND given_up_at IS NULL
    UNION ALL SELECT 'outbox_oldest_seconds', '', coalesce(extract(epoch FROM now() - min(created_at)), 0)
              FROM outbox WHERE delivered_at IS NULL AND given_up_at IS NULL
    UNION ALL SELECT 'outbox_given_up', '', count(*) FROM outbox WHERE given_up_at IS NOT NULL
    UNION ALL SELECT 'database_bytes', '', pg_database_size(current_database())
    UNION ALL SELECT 'chunks', '', count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'readings'
    UNION ALL SELECT 'chunks_compressed', '', count(*) FROM timescaledb_information.chunks
              WHERE hypertable_name = 'readings' AND is_compressed
    UNION ALL SELECT 'expired_readings', '', coalesce(sum(readings), 0) FROM expired
$$;
REVOKE ALL ON FUNCTION figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION figures() TO bellwether_api;

-- Tenants apart, least rights -------------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['retention', 'expired', 'backfills'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_ingest, bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON retention TO bellwether_api;
GRANT SELECT ON expired TO bellwether_api, bellwether_notify, bellwether_reader, bellwether_ingest;
GRANT SELECT ON retention, ledger TO bellwether_notify;
GRANT SELECT, INSERT, UPDATE ON backfills TO bellwether_ingest;
GRANT SELECT ON keeping, raw_from, readings_1h TO bellwether_ingest;
GRANT SELECT ON backfills TO bellwether_api;
GRANT SELECT ON readings_1m, readings_1h TO bellwether_reader;
