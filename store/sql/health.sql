-- name: server
-- What is running, and whether an acknowledged commit is durable.
SELECT current_setting('server_version'),
       coalesce((SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), ''),
       current_setting('synchronous_commit'),
       clock_timestamp()

-- name: beats
-- Seconds since each role was seen.
SELECT role, extract(epoch FROM now() - at)::float8 FROM heartbeats

-- name: given_up
-- What was refused for good.
SELECT count(*) FROM outbox WHERE given_up_at IS NOT NULL

-- name: figures
-- Sums over all tenants, for who watches over the whole.
SELECT name, label, value FROM figures()
