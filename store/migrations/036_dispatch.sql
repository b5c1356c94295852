-- Dispatch: where sites are, who can go, what is proposed and what became of it. Proposals are made anew by `notify` within
-- a minute of a change; the pages and the API read them, and say who goes.

-- A site by the name that its devices give. Without a row nobody knows how far it is.
CREATE TABLE sites (
    tenant     text NOT NULL REFERENCES tenants,
    site       text NOT NULL CHECK (length(site) BETWEEN 1 AND 128),
    latitude   double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),     -- degrees, WGS 84
    longitude  double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (tenant, site)
);

CREATE TABLE engineers (
    tenant     text NOT NULL REFERENCES tenants,
    login      text NOT NULL,                         -- of a user with the role engineer
    skills     text[] NOT NULL DEFAULT '{}',
    remote     boolean NOT NULL DEFAULT false,        -- of the remote team: travels nowhere
    latitude   double precision CHECK (latitude BETWEEN -90 AND 90),    -- where they set off from
    longitude  double precision CHECK (longitude BETWEEN -180 AND 180),
    speed_km_h double precision NOT NULL DEFAULT 50 CHECK (speed_km_h BETWEEN 5 AND 200),
    most       integer NOT NULL DEFAULT 4 CHECK (most BETWEEN 1 AND 50),  -- tickets at once
    shifts     jsonb NOT NULL,                        -- a calendar, as in `terms`
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (tenant, login),
    CHECK ((latitude IS NULL) = (longitude IS NULL))
);

-- Who was erased is no engineer any more: where somebody lives is not kept under another name.
CREATE FUNCTION forget_engineer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM engineers WHERE tenant = NEW.tenant AND login = NEW.login;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_engineer AFTER UPDATE OF login ON engineers FOR EACH ROW
    WHEN (OLD.login <> NEW.login) EXECUTE FUNCTION forget_engineer();
REVOKE ALL ON FUNCTION forget_engineer() FROM PUBLIC;

-- A tenant without a row: proposals only, two hours a visit, one from afar, assigned half an hour ahead.
CREATE TABLE dispatch_policies (
    tenant     text PRIMARY KEY REFERENCES tenants,
    mode       text NOT NULL CHECK (mode IN ('propose', 'assign')),
    visit_min  integer NOT NULL CHECK (visit_min BETWEEN 5 AND 2880),
    remote_min integer NOT NULL CHECK (remote_min BETWEEN 5 AND 2880),
    ahead_min  integer NOT NULL CHECK (ahead_min BETWEEN 0 AND 10080),   -- assigned by rule so long before setting off
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);

CREATE TABLE dispatch_plans (
    tenant   text PRIMARY KEY REFERENCES tenants,
    made_at  timestamptz NOT NULL,
    inputs   bytea NOT NULL,                          -- SHA-256 of what it was made of: the same needs no new plan
    way      text NOT NULL,                           -- see tickets/dispatch/optimise.py
    cost     double precision NOT NULL,
    by_turns double precision NOT NULL,               -- what first come, first served would have cost
    left_out integer NOT NULL                         -- tickets beyond those that are planned at once
);

CREATE TABLE dispatch_proposals (
    ticket_id  uuid PRIMARY KEY REFERENCES tickets,
    tenant     text NOT NULL,
    made_at    timestamptz NOT NULL,
    engineer   text,                                  -- NULL: nobody can be sent, and `reasons` say why
    turn       integer NOT NULL,                      -- which of that engineer's visits
    sets_off   timestamptz,
    arrives    timestamptz,
    done       timestamptz,
    late_min   double precision NOT NULL,
    travel_min double precision NOT NULL,
    reasons    jsonb NOT NULL                         -- sentences
);
CREATE INDEX dispatch_proposals_tenant ON dispatch_proposals (tenant, sets_off, ticket_id);

-- What became of proposals. Only added to.
CREATE TABLE dispatch_decisions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text NOT NULL REFERENCES tenants,
    ticket_id  uuid NOT NULL REFERENCES tickets,
    at         timestamptz NOT NULL,
    who        text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('accepted', 'overridden', 'by_rule')),
    proposed   text,                                  -- a login; NULL: nobody was proposed
    chosen     text NOT NULL,
    reason     text NOT NULL CHECK (kind <> 'overridden' OR length(reason) > 0)
);
CREATE INDEX dispatch_decisions_tenant ON dispatch_decisions (tenant, id DESC);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['sites', 'engineers', 'dispatch_policies', 'dispatch_plans', 'dispatch_proposals',
                                'dispatch_decisions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;
CREATE POLICY every_tenant_of_notify ON users FOR SELECT TO bellwether_notify USING (true);

GRANT SELECT ON sites, engineers, dispatch_policies, dispatch_plans, dispatch_proposals, dispatch_decisions
    TO bellwether_api, bellwether_notify, bellwether_reader;
GRANT SELECT (tenant, login, name, role, disabled_at) ON users TO bellwether_notify;
GRANT INSERT, UPDATE ON sites, engineers, dispatch_policies TO bellwether_api;
GRANT DELETE ON sites, engineers TO bellwether_api;
GRANT INSERT ON dispatch_decisions TO bellwether_api;
GRANT INSERT, UPDATE, DELETE ON dispatch_plans, dispatch_proposals TO bellwether_notify;

SELECT audit_table('sites', 'site', '{site}', '{latitude,longitude}');
SELECT audit_table('engineers', 'engineer', '{login}', '{skills,remote,speed_km_h,most,shifts}', '{latitude,longitude}');
SELECT audit_table('dispatch_policies', 'dispatch_policy', '{tenant}', '{mode,visit_min,remote_min,ahead_min}');
SELECT audit_table('dispatch_decisions', 'dispatch_decision', '{id}', '{ticket_id,kind}', '{proposed,chosen,reason}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('sites', 'changed_by', 'site', 'login', 'who said where a site is', 'accountability', 'until it is changed'),
    ('engineers', 'login', 'login', 'login', 'an engineer''s skills, shifts, and where they set off from',
     'whoever can be there first is sent', 'while they are an engineer; erased with them'),
    ('engineers', 'changed_by', 'login', 'login', 'who changed an engineer''s data', 'accountability', 'until it is changed'),
    ('dispatch_policies', 'changed_by', 'tenant', 'login', 'who changed how is dispatched', 'accountability', 'until it is changed'),
    ('dispatch_proposals', 'engineer', 'ticket_id', 'login', 'who is proposed for a ticket', 'whoever can be there first is sent',
     'until somebody is sent'),
    ('dispatch_proposals', 'reasons', 'ticket_id', 'json', 'mentions in reasons', 'whoever can be there first is sent',
     'until somebody is sent'),
    ('dispatch_decisions', 'who', 'id', 'login', 'who decided whom to send', 'accountability', 'with the ticket'),
    ('dispatch_decisions', 'proposed', 'id', 'login', 'who was proposed', 'accountability', 'with the ticket'),
    ('dispatch_decisions', 'chosen', 'id', 'login', 'who was sent', 'accountability', 'with the ticket'),
    ('dispatch_decisions', 'reason', 'id', 'text', 'mentions in reasons', 'accountability', 'with the ticket');
