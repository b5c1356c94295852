-- Roll-ups kept up to date by the server, and history in the columnstore.
--
-- Real-time: what is not materialised yet is added from the readings at query time, so a page is never behind.

CREATE MATERIALIZED VIEW readings_1m
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(INTERVAL '1 minute', time) AS bucket, stream_id, count(*) AS n,
           min(value) AS min, max(value) AS max, avg(value) AS mean, last(value, time) AS last
    FROM readings GROUP BY 1, 2
WITH NO DATA;

CREATE MATERIALIZED VIEW readings_1h
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(INTERVAL '1 hour', time) AS bucket, stream_id, count(*) AS n,
           min(value) AS min, max(value) AS max, avg(value) AS mean, last(value, time) AS last
    FROM readings GROUP BY 1, 2
WITH NO DATA;

-- A month back, since devices come home with backlogs of weeks.
SELECT add_continuous_aggregate_policy('readings_1m', INTERVAL '31 days', INTERVAL '2 minutes', INTERVAL '5 minutes');
SELECT add_continuous_aggregate_policy('readings_1h', INTERVAL '31 days', INTERVAL '2 hours', INTERVAL '30 minutes');

ALTER TABLE readings SET (timescaledb.compress, timescaledb.compress_segmentby = 'stream_id', timescaledb.compress_orderby = 'time');
SELECT add_compression_policy('readings', INTERVAL '8 days');
