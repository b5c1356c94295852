-- The spine: telemetry, alarms, tickets and what carries them to the outside.
--
-- Every table of a tenant's has row-level security: the API sees the rows of the tenant named in the setting
-- `bellwether.tenant` of its transaction, and none where it is not set. Readings are read through the tenant_* views,
-- since the columnstore and row-level security exclude each other in TimescaleDB.

CREATE EXTENSION IF NOT EXISTS timescaledb;

-- Roles. They belong to the whole server: another database of ours may have made them already.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['bellwether_ingest', 'bellwether_api', 'bellwether_notify', 'bellwether_reader'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO bellwether_ingest, bellwether_api, bellwether_notify, bellwether_reader;

-- Who ---------------------------------------------------------------------------------------------------------------

CREATE TABLE tenants (
    id         text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_.-]{1,64}$'),
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant        text NOT NULL REFERENCES tenants,
    login         text NOT NULL UNIQUE CHECK (length(login) BETWEEN 1 AND 254),
    name          text NOT NULL,
    role          text NOT NULL CHECK (role IN ('owner', 'engineer', 'dispatcher', 'manager', 'administrator')),
    password_hash text NOT NULL,
    password_at   timestamptz NOT NULL DEFAULT now(),  -- tokens from before are void
    failed_logins integer NOT NULL DEFAULT 0,
    locked_until  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    disabled_at   timestamptz
);

CREATE TABLE api_keys (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant     text NOT NULL REFERENCES tenants,
    name       text NOT NULL,
    role       text NOT NULL CHECK (role IN ('owner', 'engineer', 'dispatcher', 'manager', 'administrator', 'service')),
    key_hash   bytea NOT NULL UNIQUE,            -- SHA-256 of a key of 256 random bits
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_tenant ON api_keys (tenant, created_at DESC, id DESC);

-- What --------------------------------------------------------------------------------------------------------------

CREATE TABLE devices (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant        text NOT NULL REFERENCES tenants,
    device        text NOT NULL CHECK (device ~ '^[A-Za-z0-9_.-]{1,64}$'),
    kind          text NOT NULL DEFAULT '',      -- pump, gearmotor, compressor …
    model         text NOT NULL DEFAULT '',
    site          text NOT NULL DEFAULT '',
    firmware      text NOT NULL DEFAULT '',
    online        boolean,                       -- NULL: the device never said
    online_at     timestamptz,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    learnt_at     timestamptz,                   -- NULL: the detectors do not know its normal yet
    UNIQUE (tenant, device)
);

CREATE TABLE streams (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id  integer NOT NULL REFERENCES devices,
    tenant     text NOT NULL,
    device     text NOT NULL,
    point      text NOT NULL CHECK (length(point) BETWEEN 1 AND 128),
    quantity   text NOT NULL,
    unit       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, device, point)
);
CREATE INDEX streams_device ON streams (device_id);

CREATE TABLE readings (
    time      timestamptz NOT NULL,
    stream_id integer NOT NULL,
    value     double precision NOT NULL,
    quality   smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (stream_id, time)
);
SELECT create_hypertable('readings', by_range('time', INTERVAL '1 day'), create_default_indexes => false);

CREATE TABLE rejects (
    at      timestamptz NOT NULL DEFAULT now(),
    tenant  text,                                -- NULL where the topic named none
    device  text,
    topic   text NOT NULL,
    payload bytea NOT NULL,                      -- its first 4 KiB
    bytes   integer NOT NULL,                    -- its whole length
    reason  text NOT NULL
);
SELECT create_hypertable('rejects', by_range('at', INTERVAL '7 days'), create_default_indexes => false);
CREATE INDEX rejects_tenant ON rejects (tenant, at DESC);

-- What became of each message, by device and hour of arrival. Written in the transaction that stores the readings.
CREATE TABLE ledger (
    tenant     text NOT NULL,
    device     text NOT NULL,
    hour       timestamptz NOT NULL,
    messages   bigint NOT NULL DEFAULT 0,
    stored     bigint NOT NULL DEFAULT 0,        -- readings
    duplicates bigint NOT NULL DEFAULT 0,        -- readings that were stored before
    late       bigint NOT NULL DEFAULT 0,        -- readings among the stored that came too late to be scored
    rejected   bigint NOT NULL DEFAULT 0,        -- messages, and parts of messages, in `rejects`
    PRIMARY KEY (tenant, device, hour)
);

CREATE TABLE detector_state (
    name     text PRIMARY KEY,
    saved_at timestamptz NOT NULL,
    state    bytea NOT NULL
);

CREATE TABLE heartbeats (
    role   text PRIMARY KEY,
    at     timestamptz NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- Alarms ------------------------------------------------------------------------------------------------------------

CREATE TABLE rules (
    tenant     text NOT NULL REFERENCES tenants,
    id         text NOT NULL CHECK (id ~ '^[a-z0-9_.-]{1,64}$'),
    version    integer NOT NULL,
    rule       jsonb NOT NULL,
    enabled    boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    PRIMARY KEY (tenant, id, version)
);

CREATE TABLE alarms (
    id            uuid PRIMARY KEY,              -- the occurrence, from raise to return-to-normal
    tenant        text NOT NULL REFERENCES tenants,
    device_id     integer NOT NULL REFERENCES devices,
    device        text NOT NULL,
    stream_id     integer REFERENCES streams,    -- NULL: the alarm is about the machine
    point         text NOT NULL,                 -- the leading one
    rule          text NOT NULL,
    detector      text NOT NULL,
    fault         text NOT NULL,
    severity      text NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    state         text NOT NULL,                 -- ISA-18.2, see alarms/states.py
    active        boolean NOT NULL,              -- raised and not returned to normal
    since         timestamptz NOT NULL,          -- when the departure began
    raised_at     timestamptz NOT NULL,
    returned_at   timestamptz,
    acked_at      timestamptz,
    acked_by      text,
    shelved_until timestamptz,
    shelved_by    text,
    shelve_reason text,
    score         double precision NOT NULL,     -- the highest so far
    message       text NOT NULL,
    evidence      jsonb NOT NULL
);
CREATE UNIQUE INDEX alarms_one_active ON alarms (tenant, device_id, rule, coalesce(stream_id, 0)) WHERE active;
CREATE INDEX alarms_tenant ON alarms (tenant, raised_at DESC, id DESC);
CREATE INDEX alarms_device ON alarms (device_id, raised_at DESC);

CREATE TABLE alarm_events (
    event_id      uuid PRIMARY KEY,
    occurrence_id uuid NOT NULL REFERENCES alarms,
    tenant        text NOT NULL,
    at            timestamptz NOT NULL,          -- in the telemetry's time, or the person's
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    kind          text NOT NULL CHECK (kind IN ('raised', 'escalated', 'returned', 'acknowledged', 'shelved', 'unshelved')),
    state         text NOT NULL,
    severity      text NOT NULL,
    score         double precision,
    who           text NOT NULL DEFAULT 'bellwether',
    note          text NOT NULL DEFAULT '',
    evidence      jsonb
);
CREATE INDEX alarm_events_occurrence ON alarm_events (occurrence_id, recorded_at);

-- What must reach somebody outside. Written in the transaction of what it tells of.
CREATE TABLE outbox (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        uuid NOT NULL,
    tenant          text NOT NULL,
    destination     text NOT NULL,               -- tickets
    payload         jsonb NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    delivered_at    timestamptz,
    given_up_at     timestamptz,                 -- refused for good: somebody must look
    last_error      text,
    UNIQUE (event_id, destination)
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;

-- Tickets -----------------------------------------------------------------------------------------------------------

CREATE TABLE tickets (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant        text NOT NULL REFERENCES tenants,
    code          text NOT NULL UNIQUE,          -- to follow the ticket without an account: 80 random bits
    device_id     integer NOT NULL REFERENCES devices,
    device        text NOT NULL,
    fault         text NOT NULL,
    source        text NOT NULL CHECK (source IN ('alarm', 'person', 'plan')),
    title         text NOT NULL,
    description   text NOT NULL DEFAULT '',
    state         text NOT NULL,                 -- see tickets/states.py
    held_from     text CHECK ((held_from IS NOT NULL) = (state = 'on_hold')),  -- where it goes back to
    verdict       text CHECK (verdict IN ('confirmed', 'other_fault', 'sensor_fault', 'no_fault')),
    priority      text NOT NULL CHECK (priority IN ('urgent', 'high', 'medium', 'low')),
    level         text NOT NULL CHECK (level IN ('emergency', 'major', 'general')),
    assignee      text NOT NULL DEFAULT '',
    leading_point text NOT NULL DEFAULT '',
    since         timestamptz NOT NULL,          -- when the fault began, in the telemetry's time
    opened_at     timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    closed_at     timestamptz,
    evidence      jsonb NOT NULL DEFAULT '{}'
);
-- One open ticket per asset and fault, whatever the concurrency.
CREATE UNIQUE INDEX tickets_one_open ON tickets (tenant, device_id, fault) WHERE state NOT IN ('closed', 'cancelled');
CREATE INDEX tickets_tenant ON tickets (tenant, opened_at DESC, id DESC);
CREATE INDEX tickets_device ON tickets (device_id, opened_at DESC);

CREATE TABLE ticket_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id  uuid NOT NULL REFERENCES tickets,
    tenant     text NOT NULL,
    event_id   uuid,                             -- of the alarm event it came from
    at         timestamptz NOT NULL DEFAULT now(),
    kind       text NOT NULL,                    -- opened, alarm, reopened, raised_priority, moved, assigned, comment, clock_warned, clock_breached
    who        text NOT NULL,
    from_state text,
    to_state   text,
    note       text NOT NULL DEFAULT '',
    detail     jsonb NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX ticket_events_once ON ticket_events (tenant, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX ticket_events_ticket ON ticket_events (ticket_id, id);

CREATE TABLE ticket_alarms (
    ticket_id uuid NOT NULL REFERENCES tickets,
    alarm_id  uuid NOT NULL REFERENCES alarms,
    tenant    text NOT NULL,
    added_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (ticket_id, alarm_id)
);
CREATE INDEX ticket_alarms_alarm ON ticket_alarms (alarm_id);

CREATE TABLE ticket_clocks (
    ticket_id   uuid NOT NULL REFERENCES tickets,
    clock       text NOT NULL CHECK (clock IN ('response', 'on_site')),
    tenant      text NOT NULL,
    started_at  timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,            -- moved on by each pause
    warn_at     timestamptz NOT NULL,
    paused_at   timestamptz,
    stopped_at  timestamptz,
    warned_at   timestamptz,
    breached_at timestamptz,
    PRIMARY KEY (ticket_id, clock, started_at)   -- a ticket that reopens starts new clocks and keeps the old
);
CREATE INDEX ticket_clocks_running ON ticket_clocks (warn_at) WHERE stopped_at IS NULL AND paused_at IS NULL;

CREATE TABLE idempotency (
    tenant       text NOT NULL,
    key          text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    route        text NOT NULL,
    request_hash bytea NOT NULL,
    status       integer,                        -- NULL while the first request is under way
    body         jsonb,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);

-- What a page that is open right now is told of. A reader goes on after (xid, id): ids alone are given out before the
-- transactions that hold them commit, so that a reader who goes by them can step over one.
CREATE TABLE live_events (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant text NOT NULL,
    at     timestamptz NOT NULL DEFAULT now(),
    kind   text NOT NULL,                        -- alarm.raised, ticket.opened …
    body   jsonb NOT NULL
);
CREATE INDEX live_events_tenant ON live_events (tenant, xid, id);

CREATE FUNCTION tell_of_alarm() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    SELECT NEW.tenant, 'alarm.' || NEW.kind,
           jsonb_build_object('alarm_id', a.id, 'device', a.device, 'point', a.point, 'severity', NEW.severity,
                              'state', NEW.state, 'fault', a.fault, 'message', a.message, 'at', NEW.at)
    FROM alarms a WHERE a.id = NEW.occurrence_id;
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_alarm AFTER INSERT ON alarm_events FOR EACH ROW EXECUTE FUNCTION tell_of_alarm();

CREATE FUNCTION tell_of_ticket() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    SELECT NEW.tenant, 'ticket.' || NEW.kind,
           jsonb_build_object('ticket_id', t.id, 'device', t.device, 'fault', t.fault, 'title', t.title,
                              'state', t.state, 'priority', t.priority, 'at', NEW.at)
    FROM tickets t WHERE t.id = NEW.ticket_id;
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_ticket AFTER INSERT ON ticket_events FOR EACH ROW EXECUTE FUNCTION tell_of_ticket();

CREATE FUNCTION wake_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bellwether_outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER wake_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION wake_notify();

CREATE FUNCTION wake_ingest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bellwether_rules', '');
    RETURN NULL;
END $$;
CREATE TRIGGER wake_ingest AFTER INSERT OR UPDATE ON rules FOR EACH STATEMENT EXECUTE FUNCTION wake_ingest();

-- Signing in happens before the tenant is known: these two, and nothing else, look across tenants for the API.
CREATE FUNCTION key_holder(hash bytea) RETURNS TABLE (id uuid, tenant text, name text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.id, k.tenant, k.name, k.role FROM api_keys k
    WHERE k.key_hash = hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
$$;
CREATE FUNCTION user_of_login(wanted text)
RETURNS TABLE (id uuid, tenant text, login text, name text, role text, password_hash text, locked_until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT u.id, u.tenant, u.login, u.name, u.role, u.password_hash, u.locked_until
    FROM users u WHERE u.login = wanted AND u.disabled_at IS NULL
$$;
REVOKE ALL ON FUNCTION key_holder(bytea), user_of_login(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION key_holder(bytea), user_of_login(text) TO bellwether_api;

-- Following a ticket by its code needs no account: this shows one ticket, and of it only what its customer may know.
CREATE FUNCTION ticket_of_code(wanted text)
RETURNS TABLE (code text, device text, title text, state text, priority text, opened_at timestamptz,
               updated_at timestamptz, closed_at timestamptz, steps jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.code, t.device, t.title, t.state, t.priority, t.opened_at, t.updated_at, t.closed_at,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('state', e.to_state, 'at', e.at) ORDER BY e.id), '[]')
            FROM ticket_events e WHERE e.ticket_id = t.id AND e.to_state IS NOT NULL)
    FROM tickets t WHERE t.code = wanted
$$;
REVOKE ALL ON FUNCTION ticket_of_code(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ticket_of_code(text) TO bellwether_api;

-- Tenants apart ------------------------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['users', 'api_keys', 'devices', 'streams', 'ledger', 'rules', 'alarms', 'alarm_events', 'outbox',
                                'tickets', 'ticket_events', 'ticket_alarms', 'ticket_clocks', 'idempotency', 'live_events'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_ingest, bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON tenants TO bellwether_api USING (id = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON tenants TO bellwether_ingest, bellwether_notify, bellwether_reader USING (true);

CREATE VIEW tenant_readings WITH (security_barrier) AS
    SELECT r.time, r.stream_id, r.value, r.quality
    FROM readings r JOIN streams s ON s.id = r.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true);
CREATE VIEW tenant_rejects WITH (security_barrier) AS
    SELECT r.at, r.tenant, r.device, r.topic, r.payload, r.bytes, r.reason
    FROM rejects r
    WHERE r.tenant = current_setting('bellwether.tenant', true);

-- Least rights: who may do what --------------------------------------------------------------------------------------

GRANT SELECT ON tenants, rules TO bellwether_ingest;
GRANT SELECT, INSERT, UPDATE ON devices, streams, ledger, detector_state, heartbeats, alarms TO bellwether_ingest;
GRANT SELECT, INSERT ON readings, alarm_events TO bellwether_ingest;
GRANT INSERT ON rejects, outbox TO bellwether_ingest;
GRANT SELECT ON outbox TO bellwether_ingest;

GRANT SELECT ON schema_migrations TO bellwether_api;  -- to say whether it is up to date
GRANT SELECT ON tenants, devices, streams, ledger, heartbeats, tenant_readings, tenant_rejects, live_events TO bellwether_api;
GRANT UPDATE (kind, model, site) ON devices TO bellwether_api;
GRANT SELECT, INSERT ON rules, alarm_events, ticket_events, ticket_alarms, outbox TO bellwether_api;
GRANT SELECT, UPDATE ON alarms TO bellwether_api;
GRANT SELECT, INSERT, UPDATE ON tickets, ticket_clocks, idempotency, api_keys, users TO bellwether_api;

GRANT SELECT, UPDATE ON outbox, ticket_clocks TO bellwether_notify;
GRANT SELECT ON tickets TO bellwether_notify;
GRANT SELECT, UPDATE ON alarms TO bellwether_notify;      -- the shelf's time is over
GRANT SELECT, INSERT ON alarm_events, ticket_events TO bellwether_notify;
GRANT SELECT, INSERT, UPDATE ON heartbeats TO bellwether_notify;
GRANT SELECT, DELETE ON idempotency, live_events TO bellwether_notify;
GRANT DELETE ON outbox TO bellwether_notify;

GRANT SELECT ON tenants, devices, streams, readings, rejects, ledger, alarms, alarm_events, tickets, ticket_events TO bellwether_reader;
