-- Preventive plans: what is to be done on which machines and when, how each machine stands to each plan, and what fell due.

CREATE TABLE plans (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant       text NOT NULL REFERENCES tenants,
    name         text NOT NULL,
    device       text,                           -- one machine, or all of a model, or all at a site
    model        text,
    site         text,
    trigger      jsonb NOT NULL,                 -- see tickets/plans.py
    procedure    text NOT NULL DEFAULT '',       -- of the fault library
    steps        text NOT NULL DEFAULT '',       -- own ones, a line each, after those of the procedure
    parts        jsonb NOT NULL DEFAULT '[]',    -- [{"part", "quantity"}], asked for when the ticket opens
    skills       text[] NOT NULL DEFAULT '{}',   -- beside those of the procedure
    work_h       double precision NOT NULL DEFAULT 1 CHECK (work_h > 0),
    fault_class  text NOT NULL DEFAULT 'cosmetic'
        CHECK (fault_class IN ('safety', 'line_down', 'function_lost', 'degraded', 'cosmetic')),  -- what waiting would cost
    lead_days    integer NOT NULL DEFAULT 14 CHECK (lead_days BETWEEN 0 AND 365),
    healthy_from double precision CHECK (healthy_from BETWEEN 0 AND 100),  -- may be put off from this health on; NULL: never
    put_off_most integer NOT NULL DEFAULT 0 CHECK (put_off_most BETWEEN 0 AND 12),  -- in a row
    made_at      timestamptz NOT NULL,
    made_by      text NOT NULL,
    changed_at   timestamptz NOT NULL,
    changed_by   text NOT NULL,
    ended_at     timestamptz,
    CHECK (num_nonnulls(device, model, site) = 1)
);
CREATE INDEX plans_tenant ON plans (tenant, made_at DESC, id DESC);

-- How a machine stands to a plan, as `notify` saw it last: see tickets/plans.py.
CREATE TABLE plan_rounds (
    plan_id    uuid NOT NULL REFERENCES plans,
    device_id  integer NOT NULL REFERENCES devices,
    tenant     text NOT NULL,
    looked_at  timestamptz NOT NULL,
    look_at    timestamptz NOT NULL,             -- next
    since      timestamptz NOT NULL,             -- it was done last, or the plan was made
    times      integer NOT NULL DEFAULT 0,       -- it fell due so often since then
    in_a_row   integer NOT NULL DEFAULT 0,       -- of which it was put off the last so many
    taken      timestamptz NOT NULL,             -- moments of the calendar up to this one are dealt with
    counts     text NOT NULL DEFAULT '',         -- what of the machine is counted; another thing is counted from nothing
    counted_at timestamptz NOT NULL,
    shown      double precision,                 -- what its counter showed then
    used       double precision NOT NULL DEFAULT 0,
    per_day    double precision NOT NULL DEFAULT 0,
    known_days double precision NOT NULL DEFAULT 0,
    beyond_h   double precision NOT NULL DEFAULT 0,
    p_fail     double precision,
    fails_by   timestamptz,
    silent     text NOT NULL DEFAULT '',
    health     double precision,
    PRIMARY KEY (plan_id, device_id)
);
CREATE INDEX plan_rounds_device ON plan_rounds (device_id);

-- What fell due, each once: whoever comes second finds the number taken.
CREATE TABLE plan_occurrences (
    plan_id   uuid NOT NULL REFERENCES plans,
    device_id integer NOT NULL REFERENCES devices,
    number    integer NOT NULL CHECK (number > 0),
    tenant    text NOT NULL,
    found_at  timestamptz NOT NULL,
    due_at    timestamptz NOT NULL,
    why       text NOT NULL,
    outcome   text NOT NULL CHECK (outcome IN ('opening', 'opened', 'joined', 'put_off')),
    ticket_id uuid REFERENCES tickets,
    PRIMARY KEY (plan_id, device_id, number),
    CHECK ((outcome IN ('opened', 'joined')) = (ticket_id IS NOT NULL))
);
CREATE INDEX plan_occurrences_ticket ON plan_occurrences (ticket_id) WHERE ticket_id IS NOT NULL;
CREATE INDEX plan_occurrences_tenant ON plan_occurrences (tenant, found_at DESC);

-- What machines without a counter have run, by their modes, in the telemetry's own time. Kept here and not in a process:
-- who is killed misses nothing.
CREATE TABLE machine_usage (
    device_id integer PRIMARY KEY REFERENCES devices,
    tenant    text NOT NULL,
    ran_s     double precision NOT NULL DEFAULT 0,
    starts    bigint NOT NULL DEFAULT 0
);

CREATE FUNCTION is_running(mode text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT mode IN ('idle', 'running', 'part load', 'full load', 'changing')
$$;

CREATE FUNCTION keep_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ran double precision := CASE WHEN is_running(OLD.mode)
                                 THEN greatest(0, extract(epoch FROM NEW.mode_since - OLD.mode_since)) ELSE 0 END;
BEGIN
    INSERT INTO machine_usage AS u (device_id, tenant, ran_s, starts)
    VALUES (NEW.id, NEW.tenant, ran, (is_running(NEW.mode) AND OLD.mode = 'off')::int)
    ON CONFLICT (device_id) DO UPDATE SET ran_s = u.ran_s + excluded.ran_s, starts = u.starts + excluded.starts;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_usage AFTER UPDATE OF mode, mode_since ON devices FOR EACH ROW
    WHEN ((OLD.mode, OLD.mode_since) IS DISTINCT FROM (NEW.mode, NEW.mode_since)) EXECUTE FUNCTION keep_usage();
REVOKE ALL ON FUNCTION keep_usage() FROM PUBLIC;

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['plans', 'plan_rounds', 'plan_occurrences', 'machine_usage'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['plan_rounds', 'plan_occurrences', 'machine_usage'] LOOP
        EXECUTE format('CREATE POLICY own_of_owner ON %I AS RESTRICTIVE TO bellwether_api
                        USING (CASE WHEN coalesce(current_setting(''bellwether.customer'', true), '''') = '''' THEN true
                                    ELSE is_for_owner(customer_of_device(device_id)) END)', name);
    END LOOP;
END $$;
CREATE POLICY every_tenant_of_plans ON terms TO bellwether_notify USING (true);

GRANT SELECT ON plans, plan_rounds, plan_occurrences, machine_usage TO bellwether_api, bellwether_notify, bellwether_reader;
GRANT INSERT ON plans TO bellwether_api;
GRANT UPDATE (name, device, model, site, trigger, procedure, steps, parts, skills, work_h, fault_class, lead_days,
              healthy_from, put_off_most, changed_at, changed_by, ended_at) ON plans TO bellwether_api;
GRANT UPDATE (outcome, ticket_id, why) ON plan_occurrences TO bellwether_api;
GRANT INSERT, UPDATE ON plan_rounds, plan_occurrences TO bellwether_notify;
-- What falls due is carried to the API as an alarm is; how a machine fares says whether it does.
GRANT SELECT ON terms, health, prognoses, device_presence TO bellwether_notify;
GRANT INSERT ON outbox TO bellwether_notify;

-- Acts, and where people's data stand: see 026.
SELECT audit_table('plans', 'plan', '{id}',
                   '{device,model,site,trigger,procedure,parts,skills,work_h,fault_class,lead_days,healthy_from,put_off_most,ended_at}',
                   '{name,steps}');
SELECT audit_table('plan_occurrences', 'plan_occurrence', '{plan_id,device_id,number}', '{due_at,outcome,ticket_id}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('plans', 'name', 'id', 'text', 'mentions in a plan''s name', 'the work must be known', 'with the plan'),
    ('plans', 'steps', 'id', 'text', 'mentions in steps', 'the work must be known', 'with the plan'),
    ('plans', 'made_by', 'id', 'login', 'who made a plan', 'accountability', 'with the plan'),
    ('plans', 'changed_by', 'id', 'login', 'who changed a plan', 'accountability', 'until it is changed');
