-- Signed webhooks: what pages are told of, a tenant's endpoints are told too, written in the transaction of what happened.

-- Keys are locked with one that follows from BELLWETHER_SECRET; see store/webhooks/keys.py. While an endpoint fails it
-- rests, longer each time, and only one delivery is tried at the end of a rest.
CREATE TABLE webhooks (
    id            uuid PRIMARY KEY,
    tenant        text NOT NULL REFERENCES tenants,
    url           text NOT NULL,
    events        text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 50),  -- alarm.raised, ticket.*, *
    note          text NOT NULL DEFAULT '',
    enabled       boolean NOT NULL DEFAULT true,
    key           bytea NOT NULL,
    earlier_key   bytea,                         -- signs too, until then
    earlier_until timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    changed_at    timestamptz NOT NULL DEFAULT now(),
    changed_by    text NOT NULL,
    failures      integer NOT NULL DEFAULT 0,    -- in a row
    failing_since timestamptz,
    rests_until   timestamptz,
    last_error    text NOT NULL DEFAULT '',
    CHECK ((earlier_key IS NULL) = (earlier_until IS NULL))
);
CREATE INDEX webhooks_tenant ON webhooks (tenant, created_at DESC, id DESC);

-- What happened, once, whoever is told. The id is what a receiver knows it by when it comes twice.
CREATE TABLE webhook_events (
    id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant text NOT NULL,
    at     timestamptz NOT NULL,
    kind   text NOT NULL,
    body   jsonb NOT NULL
);
CREATE INDEX webhook_events_at ON webhook_events (at);

CREATE TABLE webhook_deliveries (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant          text NOT NULL,
    webhook_id      uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id        uuid NOT NULL REFERENCES webhook_events,
    asked_at        timestamptz NOT NULL DEFAULT now(),
    asked_by        text NOT NULL DEFAULT '',    -- who had it sent again, or tried; '': it happened
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'undeliverable')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz,
    status          integer,                     -- what was answered last
    took_ms         integer,
    error           text NOT NULL DEFAULT '',
    replayed_at     timestamptz,                 -- another delivery took its place
    CHECK ((ended_at IS NULL) = (state = 'waiting'))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_attempt_at, id) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (webhook_id, id DESC);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_lost ON webhook_deliveries (webhook_id) WHERE state = 'undeliverable' AND replayed_at IS NULL;
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at);

CREATE FUNCTION wants_event(events text[], kind text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT events && ARRAY['*', kind, split_part(kind, '.', 1) || '.*']
$$;

-- The lock holds off an endpoint's removal until this commits: it must not break what happened.
CREATE FUNCTION tell_webhooks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    told  uuid;
    whom  uuid[];
BEGIN
    SELECT array_agg(w.id) INTO whom
    FROM (SELECT id FROM webhooks WHERE tenant = NEW.tenant AND enabled AND wants_event(events, NEW.kind) FOR KEY SHARE) w;
    IF whom IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhook_events (tenant, at, kind, body) VALUES (NEW.tenant, NEW.at, NEW.kind, NEW.body) RETURNING id INTO told;
    INSERT INTO webhook_deliveries (tenant, webhook_id, event_id) SELECT NEW.tenant, one, told FROM unnest(whom) AS one;
    PERFORM pg_notify('bellwether_webhooks', '');
    RETURN NULL;
END $$;
CREATE TRIGGER tell_webhooks AFTER INSERT ON live_events FOR EACH ROW EXECUTE FUNCTION tell_webhooks();

-- What a person has sent again, or sent to try: one act for all that one statement asks for.
CREATE FUNCTION audit_webhook_replays() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM write_act(a.tenant, 'webhook', a.webhook_id::text, 'replayed',
                      jsonb_build_object('deliveries', count(*), 'first', min(a.id), 'last', max(a.id)))
    FROM asked a WHERE a.asked_by <> '' GROUP BY a.tenant, a.webhook_id;
    RETURN NULL;
END $$;
CREATE TRIGGER audited AFTER INSERT ON webhook_deliveries REFERENCING NEW TABLE AS asked
    FOR EACH STATEMENT EXECUTE FUNCTION audit_webhook_replays();

-- An address may hold a secret of its receiver's.
SELECT audit_table('webhooks', 'webhook', '{id}', '{events,enabled}', '{url,note,key,earlier_key}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('webhooks', 'changed_by', 'id', 'login', 'who changed a webhook', 'accountability', 'until it is changed'),
    ('webhooks', 'note', 'id', 'text', 'mentions in notes', 'accountability', 'with the webhook'),
    ('webhook_events', 'body', 'id', 'json', 'what other systems were told', 'it can be sent again', 'thirty days, or as the tenant says'),
    ('webhook_deliveries', 'asked_by', 'id', 'login', 'who had something sent again', 'accountability',
     'thirty days, or as the tenant says');

-- Sums over all tenants, as `figures()`.
CREATE FUNCTION webhook_figures() RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT 'webhooks_waiting', '', count(*)::float8 FROM webhook_deliveries WHERE state = 'waiting'
    UNION ALL SELECT 'webhooks_undeliverable', '', count(*) FROM webhook_deliveries
              WHERE state = 'undeliverable' AND replayed_at IS NULL
    UNION ALL SELECT 'webhooks_failing', '', count(*) FROM webhooks WHERE enabled AND failing_since IS NOT NULL
$$;
REVOKE ALL ON FUNCTION webhook_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION webhook_figures() TO bellwether_api, bellwether_notify, bellwether_reader;

-- Tenants apart, least rights --------------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['webhooks', 'webhook_events', 'webhook_deliveries'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks TO bellwether_api;
GRANT SELECT, INSERT ON webhook_events, webhook_deliveries TO bellwether_api;
GRANT UPDATE (state, ended_at, error, replayed_at) ON webhook_deliveries TO bellwether_api;
GRANT SELECT, UPDATE ON webhooks, webhook_deliveries TO bellwether_notify;
GRANT SELECT ON webhook_events TO bellwether_notify;
GRANT DELETE ON webhook_events, webhook_deliveries TO bellwether_notify;
