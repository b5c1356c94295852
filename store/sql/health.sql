-- name: server
-- What is running, and how it is set.
SELECT current_setting('server_version'),
       current_setting('server_version_num')::int / 10000,
       coalesce((SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), ''),
       current_setting('synchronous_commit'),
       current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
       pg_size_bytes(current_setting('shared_buffers')),
       pg_database_size(current_database())

-- name: clock
-- What the server's clock shows now.
SELECT clock_timestamp()

-- name: data_directory
-- Where the server keeps its data, on its own machine.
SELECT current_setting('data_directory')

-- name: chunks
-- Chunks of readings, and how wide the next one will be, in hours.
SELECT (SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'readings'),
       (SELECT extract(epoch FROM time_interval)::bigint / 3600 FROM timescaledb_information.dimensions
        WHERE hypertable_name = 'readings')

-- name: failing_jobs
-- Jobs of the server's own that failed when they last ran: roll-ups or compression that stand still without a word.
SELECT j.proc_name || ' of ' || coalesce(j.hypertable_name, '') FROM timescaledb_information.job_stats s
JOIN timescaledb_information.jobs j USING (job_id)
WHERE s.last_run_status = 'Failed' AND j.scheduled AND j.job_id >= 1000  -- below: the extension's own

-- name: lag
-- How long what ingest gets has waited with the broker, by what it last said. What it said long ago is not so any more.
SELECT coalesce((detail ->> 'lag_s')::float8, 0) FROM heartbeats WHERE role = 'ingest' AND at > now() - INTERVAL '1 minute'

-- name: doubted
-- How far the server's clock is ahead of the time that ingest goes by, by what it last said.
SELECT coalesce((detail ->> 'clock_doubted_s')::float8, 0) FROM heartbeats
WHERE role = 'ingest' AND at > now() - INTERVAL '1 minute'

-- name: beats
-- Seconds since each role was seen.
SELECT role, extract(epoch FROM now() - at)::float8 FROM heartbeats

-- name: given_up
-- What was refused for good.
SELECT count(*) FROM outbox WHERE given_up_at IS NOT NULL

-- name: figures
-- Sums over all tenants, for who watches over the whole.
SELECT name, label, value FROM figures()
UNION ALL SELECT 'audit_unsealed_seconds', '', unsealed_seconds()
UNION ALL SELECT name, label, value FROM webhook_figures()
UNION ALL SELECT name, label, value FROM message_figures()
UNION ALL SELECT name, label, value FROM repair_check_figures()

-- name: webhooks
-- What no webhook took for good, and how many webhooks fail.
SELECT max(value) FILTER (WHERE name = 'webhooks_undeliverable'), max(value) FILTER (WHERE name = 'webhooks_failing')
FROM webhook_figures()

-- name: messages
-- What reached nobody and was not looked at, and how many channels fail.
SELECT max(value) FILTER (WHERE name = 'messages_undeliverable'), max(value) FILTER (WHERE name = 'channels_failing')
FROM message_figures()
