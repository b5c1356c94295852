-- Roll-ups where the licence has no continuous aggregates: views of the same names and columns.

CREATE VIEW readings_1m AS
    SELECT time_bucket(INTERVAL '1 minute', time) AS bucket, stream_id, count(*) AS n,
           min(value) AS min, max(value) AS max, avg(value) AS mean, last(value, time) AS last
    FROM readings GROUP BY 1, 2;

CREATE VIEW readings_1h AS
    SELECT time_bucket(INTERVAL '1 hour', time) AS bucket, stream_id, count(*) AS n,
           min(value) AS min, max(value) AS max, avg(value) AS mean, last(value, time) AS last
    FROM readings GROUP BY 1, 2;
