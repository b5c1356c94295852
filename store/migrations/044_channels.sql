-- People's channels, who is on call, the chain that an alarm goes along until somebody takes it, and every message: who was
-- told what, when, through which channel, and with what result.

-- How much something weighs, whether an alarm's severity says it or a ticket's priority.
CREATE FUNCTION weight_of(level text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE level WHEN 'low' THEN 1 WHEN 'medium' THEN 2 WHEN 'high' THEN 3 WHEN 'urgent' THEN 4 WHEN 'critical' THEN 4 END
$$;

-- Where somebody is reached. The address, with whatever secret is in it, is locked as webhooks' keys are.
CREATE TABLE person_channels (
    id            uuid PRIMARY KEY,
    tenant        text NOT NULL REFERENCES tenants,
    login         text NOT NULL,
    name          text NOT NULL,                 -- their own word for it: my phone
    scheme        text NOT NULL,
    host          text NOT NULL,                 -- all that is shown of the address
    address       bytea NOT NULL,
    enabled       boolean NOT NULL DEFAULT true,
    made_at       timestamptz NOT NULL DEFAULT now(),
    worked_at     timestamptz,                   -- when a message last went through
    failing_since timestamptz,
    last_error    text NOT NULL DEFAULT ''
);
CREATE INDEX person_channels_login ON person_channels (tenant, login);

-- Without a row, as tickets/wishes.py has it.
CREATE TABLE person_wishes (
    tenant        text NOT NULL REFERENCES tenants,
    login         text NOT NULL,
    alarms_from   text CHECK (weight_of(alarms_from) > 0),   -- NULL: of none
    tickets_from  text CHECK (weight_of(tickets_from) > 0),  -- of their own, or of those that are late
    zone          text NOT NULL,
    quiet_from    integer CHECK (quiet_from BETWEEN 0 AND 1439),  -- minutes since midnight, by the clock on their wall
    quiet_to      integer CHECK (quiet_to BETWEEN 0 AND 1439),
    urgent_passes boolean NOT NULL,
    changed_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant, login),
    CHECK ((quiet_from IS NULL) = (quiet_to IS NULL))
);

CREATE TABLE on_call_rotas (
    tenant     text PRIMARY KEY REFERENCES tenants,
    zone       text NOT NULL,
    layers     jsonb NOT NULL,                   -- see tickets/rota.py
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL
);

-- "I take Tuesday": whoever is named is on call then, whatever the layers say.
CREATE TABLE on_call_overrides (
    id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant    text NOT NULL REFERENCES tenants,
    login     text NOT NULL,
    begins_at timestamptz NOT NULL,
    ends_at   timestamptz NOT NULL CHECK (ends_at > begins_at),
    made_at   timestamptz NOT NULL DEFAULT now(),
    made_by   text NOT NULL
);
CREATE INDEX on_call_overrides_tenant ON on_call_overrides (tenant, ends_at);

-- Without a row, as tickets/chain.py has it: what `chain_levels` says is the same.
CREATE TABLE escalation_chains (
    tenant       text PRIMARY KEY REFERENCES tenants,
    alarms_from  text CHECK (weight_of(alarms_from) > 0),    -- NULL: none
    tickets_from text CHECK (weight_of(tickets_from) > 0),
    steps        jsonb NOT NULL,
    rounds       integer NOT NULL CHECK (rounds BETWEEN 1 AND 10),
    changed_at   timestamptz NOT NULL,
    changed_by   text NOT NULL
);

CREATE FUNCTION chain_levels(of_tenant text, OUT alarms integer, OUT tickets integer) LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN c.tenant IS NULL THEN weight_of('high') ELSE weight_of(c.alarms_from) END,
           CASE WHEN c.tenant IS NULL THEN weight_of('urgent') ELSE weight_of(c.tickets_from) END
    FROM (SELECT of_tenant AS id) asked LEFT JOIN escalation_chains c ON c.tenant = asked.id
$$;

-- One thing's way along the chain. `step`, `round`: how far it has come; at `next_at` the next of them is told.
CREATE TABLE escalations (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant        text NOT NULL REFERENCES tenants,
    alarm_id      uuid REFERENCES alarms,
    ticket_id     uuid REFERENCES tickets,
    begun_at      timestamptz NOT NULL DEFAULT now(),
    round         integer NOT NULL DEFAULT 0,
    step          integer NOT NULL DEFAULT 0,
    next_at       timestamptz NOT NULL DEFAULT now(),
    ended_at      timestamptz,
    ended_because text NOT NULL DEFAULT '',
    CHECK ((alarm_id IS NULL) <> (ticket_id IS NULL))
);
CREATE UNIQUE INDEX escalations_alarm ON escalations (alarm_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX escalations_ticket ON escalations (ticket_id) WHERE ended_at IS NULL;
CREATE INDEX escalations_due ON escalations (next_at) WHERE ended_at IS NULL;
CREATE INDEX escalations_ended ON escalations (ended_at);

-- The e-mail account that customers are written to from.
CREATE TABLE tenant_mail (
    tenant     text PRIMARY KEY REFERENCES tenants,
    scheme     text NOT NULL,
    host       text NOT NULL,
    address    bytea NOT NULL,                   -- locked, as a person's
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL
);

-- One message on its way to one channel of one of ours, or to a customer's e-mail address; the log too.
CREATE TABLE messages (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant          text NOT NULL REFERENCES tenants,
    kind            text NOT NULL,               -- chain.alarm, ticket.assigned, appointment.reminder …
    login           text NOT NULL DEFAULT '',
    recipient       text NOT NULL DEFAULT '',    -- a customer's e-mail address
    channel_id      uuid REFERENCES person_channels ON DELETE SET NULL,
    channel         text NOT NULL DEFAULT '',    -- what it was called
    urgent          boolean NOT NULL DEFAULT false,
    subject         text NOT NULL,
    body            text NOT NULL,
    alarm_id        uuid REFERENCES alarms,
    ticket_id       uuid REFERENCES tickets,
    escalation_id   bigint REFERENCES escalations,
    round           integer,
    step            integer,
    once            text,                        -- nothing with the same is queued again
    asked_by        text NOT NULL DEFAULT '',    -- who had it sent; '': it happened
    queued_at       timestamptz NOT NULL DEFAULT now(),
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'undeliverable')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz,
    took_ms         integer,
    error           text NOT NULL DEFAULT '',
    settled_at      timestamptz,                 -- somebody has seen that it did not arrive
    settled_by      text NOT NULL DEFAULT '',
    UNIQUE (tenant, once),
    CHECK ((ended_at IS NULL) = (state = 'waiting'))
);
CREATE INDEX messages_due ON messages (next_attempt_at, id) WHERE state = 'waiting';
CREATE INDEX messages_log ON messages (tenant, id DESC);
CREATE INDEX messages_lost ON messages (tenant) WHERE state = 'undeliverable' AND settled_at IS NULL;
CREATE INDEX messages_step ON messages (escalation_id, round, step) WHERE escalation_id IS NOT NULL;
CREATE INDEX messages_ended ON messages (ended_at);

CREATE FUNCTION wake_messenger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bellwether_messages', '');
    RETURN NULL;
END $$;
CREATE TRIGGER wake_messenger AFTER INSERT ON messages FOR EACH STATEMENT EXECUTE FUNCTION wake_messenger();
CREATE TRIGGER wake_messenger AFTER INSERT ON escalations FOR EACH STATEMENT EXECUTE FUNCTION wake_messenger();

-- What did not arrive is news: pages, and other systems that ask for it, are told.
CREATE FUNCTION tell_of_undeliverable() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    VALUES (NEW.tenant, 'message.undeliverable',
            jsonb_build_object('message_id', NEW.id, 'kind', NEW.kind, 'alarm_id', NEW.alarm_id, 'ticket_id', NEW.ticket_id));
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_undeliverable AFTER INSERT OR UPDATE OF state ON messages FOR EACH ROW
    WHEN (NEW.state = 'undeliverable') EXECUTE FUNCTION tell_of_undeliverable();

-- In the transaction of what happened: an alarm or a ticket sets out along the chain, and whoever wished to hear is told.
CREATE FUNCTION tell_people() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    alarm  uuid := NEW.body ->> 'alarm_id';
    ticket uuid := NEW.body ->> 'ticket_id';
    state  text := NEW.body ->> 'state';
    level  text := coalesce(NEW.body ->> 'severity', NEW.body ->> 'priority');
    weight integer := weight_of(level);
    said   text := coalesce(NEW.body ->> 'message', NEW.body ->> 'title');
    head   text := left(upper(level) || ': ' || (NEW.body ->> 'device') || ', ' || said, 200);
    whole  text := said || E'\n\nMachine: ' || (NEW.body ->> 'device') || E'\nFault: ' || (NEW.body ->> 'fault')
                   || E'\nHappened: ' || to_char(NEW.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"');
BEGIN
    IF alarm IS NOT NULL THEN
        IF state <> 'unacknowledged' THEN
            RETURN NULL;
        END IF;
        INSERT INTO escalations (tenant, alarm_id) SELECT NEW.tenant, alarm FROM chain_levels(NEW.tenant) c WHERE weight >= c.alarms
        ON CONFLICT DO NOTHING;
    ELSIF NEW.kind IN ('ticket.opened', 'ticket.reopened', 'ticket.raised_priority') THEN
        IF state IN ('new', 'triaged', 'dispatched', 'reopened') THEN
            INSERT INTO escalations (tenant, ticket_id)
            SELECT NEW.tenant, ticket FROM chain_levels(NEW.tenant) c WHERE weight >= c.tickets
            ON CONFLICT DO NOTHING;
        END IF;
        RETURN NULL;
    END IF;
    INSERT INTO messages (tenant, kind, login, channel_id, channel, urgent, subject, body, alarm_id, ticket_id)
    SELECT NEW.tenant, NEW.kind, u.login, c.id, c.name, weight >= 4, head, whole, alarm, ticket
    FROM person_channels c
    JOIN users u ON u.tenant = c.tenant AND u.login = c.login AND u.disabled_at IS NULL
    LEFT JOIN person_wishes w ON w.tenant = c.tenant AND w.login = c.login
    LEFT JOIN tickets t ON t.id = ticket
    WHERE c.tenant = NEW.tenant AND c.enabled
      AND CASE WHEN alarm IS NOT NULL THEN weight >= weight_of(w.alarms_from)
               ELSE (t.assignee = c.login OR coalesce(NEW.body -> 'to' ? u.role, false))
                    AND (w.login IS NULL OR weight >= weight_of(w.tickets_from)) END;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_people AFTER INSERT ON live_events FOR EACH ROW
    WHEN (NEW.kind IN ('alarm.raised', 'alarm.escalated', 'ticket.opened', 'ticket.reopened', 'ticket.raised_priority',
                       'ticket.assigned', 'ticket.clock_warned', 'ticket.clock_breached'))
    EXECUTE FUNCTION tell_people();

-- Whoever is erased is reached nowhere any more: an address is a person's too, and locked where no search finds it.
CREATE FUNCTION forget_channels() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM person_channels WHERE tenant = NEW.tenant AND login IN (OLD.login, NEW.login);
    DELETE FROM person_wishes WHERE tenant = NEW.tenant AND login IN (OLD.login, NEW.login);
    RETURN NULL;
END $$;
CREATE TRIGGER forget_channels AFTER UPDATE OF login ON users FOR EACH ROW
    WHEN (OLD.login IS DISTINCT FROM NEW.login) EXECUTE FUNCTION forget_channels();

-- Sums over all tenants, as `figures()`.
CREATE FUNCTION message_figures() RETURNS TABLE (name text, label text, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT 'messages_waiting', '', count(*)::float8 FROM messages WHERE state = 'waiting'
    UNION ALL SELECT 'messages_undeliverable', '', count(*) FROM messages WHERE state = 'undeliverable' AND settled_at IS NULL
    UNION ALL SELECT 'channels_failing', '', count(*) FROM person_channels WHERE enabled AND failing_since IS NOT NULL
$$;
REVOKE ALL ON FUNCTION message_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION message_figures() TO bellwether_api, bellwether_notify, bellwether_reader;

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['person_channels', 'person_wishes', 'on_call_rotas', 'on_call_overrides', 'escalation_chains',
                                'escalations', 'tenant_mail', 'messages'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify USING (true) WITH CHECK (true)', name);
        -- Whom a house calls is not for the owners of its customers' machines.
        EXECUTE format('CREATE POLICY own_of_owner ON %I AS RESTRICTIVE FOR SELECT TO bellwether_api USING (NOT is_narrowed())', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON person_channels, on_call_overrides, tenant_mail TO bellwether_api;
GRANT SELECT, INSERT, UPDATE ON person_wishes, on_call_rotas, escalation_chains TO bellwether_api;
GRANT SELECT ON escalations TO bellwether_api;
GRANT SELECT, INSERT, UPDATE (state, ended_at, error, settled_at, settled_by, once) ON messages TO bellwether_api;
GRANT SELECT ON person_channels, person_wishes, on_call_rotas, on_call_overrides, escalation_chains, tenant_mail TO bellwether_notify;
GRANT UPDATE (worked_at, failing_since, last_error) ON person_channels TO bellwether_notify;
GRANT SELECT, UPDATE, DELETE ON escalations TO bellwether_notify;
GRANT SELECT, INSERT, UPDATE, DELETE ON messages TO bellwether_notify;
GRANT SELECT (tenant, login, name, role, disabled_at) ON users TO bellwether_notify;
GRANT SELECT ON ticket_alarms TO bellwether_notify;

-- Acts, and where people's data stand: see 026. Of whom something tells is only said that it has changed.
SELECT audit_table('person_channels', 'channel', '{id}', '{scheme,enabled}', '{login,name,host,address}');
SELECT audit_table('person_wishes', 'wishes', '{tenant}',
                   '{alarms_from,tickets_from,zone,quiet_from,quiet_to,urgent_passes}', '{login}');
SELECT audit_table('on_call_rotas', 'rota', '{tenant}', '{zone}', '{layers}');
SELECT audit_table('on_call_overrides', 'override', '{id}', '{begins_at,ends_at}', '{login}');
SELECT audit_table('escalation_chains', 'chain', '{tenant}', '{alarms_from,tickets_from,rounds}', '{steps}');
SELECT audit_table('tenant_mail', 'mail', '{tenant}', '{scheme}', '{host,address}');

-- What a person has sent to try, or again, or has seen: one act for all that one statement does.
CREATE FUNCTION audit_messages() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM write_act(m.tenant, 'message', min(m.id)::text, 'asked', jsonb_build_object('messages', count(*), 'kind', min(m.kind)))
        FROM now_there m WHERE m.asked_by <> '' GROUP BY m.tenant;
    ELSE
        PERFORM write_act(m.tenant, 'message', min(m.id)::text, 'settled', jsonb_build_object('messages', count(*), 'last', max(m.id)))
        FROM now_there m JOIN there_before b USING (id) WHERE m.settled_at IS NOT NULL AND b.settled_at IS NULL GROUP BY m.tenant;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audited AFTER INSERT ON messages REFERENCING NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION audit_messages();
CREATE TRIGGER audited_settling AFTER UPDATE ON messages REFERENCING NEW TABLE AS now_there OLD TABLE AS there_before
    FOR EACH STATEMENT EXECUTE FUNCTION audit_messages();

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('person_channels', 'login', 'id', 'login', 'whose a channel is', 'they wished to be told', 'until it is removed'),
    ('person_channels', 'name', 'id', 'text', 'what somebody calls a channel', 'they wished to be told', 'until it is removed'),
    ('person_channels', 'host', 'id', 'text', 'where a channel leads', 'they wished to be told', 'until it is removed'),
    ('person_channels', 'last_error', 'id', 'text', 'why a channel fails', 'they must be reached', 'until it works'),
    ('person_wishes', 'login', 'login', 'login', 'who wished to hear of what', 'they wished to be told', 'until it is changed'),
    ('on_call_rotas', 'layers', 'tenant', 'json', 'who is on call', 'alarms must reach somebody', 'until it is changed'),
    ('on_call_rotas', 'changed_by', 'tenant', 'login', 'who made the rota', 'accountability', 'until it is changed'),
    ('on_call_overrides', 'login', 'id', 'login', 'who takes whose shift', 'alarms must reach somebody', 'until a month after'),
    ('on_call_overrides', 'made_by', 'id', 'login', 'who said who takes a shift', 'accountability', 'until a month after'),
    ('escalation_chains', 'steps', 'tenant', 'json', 'who is told next', 'alarms must reach somebody', 'until it is changed'),
    ('escalation_chains', 'changed_by', 'tenant', 'login', 'who made the chain', 'accountability', 'until it is changed'),
    ('tenant_mail', 'changed_by', 'tenant', 'login', 'who set the mail account', 'accountability', 'until it is changed'),
    ('messages', 'login', 'id', 'login', 'who was told', 'what did not arrive must be seen', 'ninety days, or as the tenant says'),
    ('messages', 'recipient', 'id', 'text', 'a customer''s e-mail address', 'customers must be reached', 'ninety days, or as the tenant says'),
    ('messages', 'channel', 'id', 'text', 'what somebody calls a channel', 'what did not arrive must be seen', 'ninety days, or as the tenant says'),
    ('messages', 'subject', 'id', 'text', 'what somebody was told', 'what did not arrive must be seen', 'ninety days, or as the tenant says'),
    ('messages', 'body', 'id', 'text', 'what somebody was told', 'what did not arrive must be seen', 'ninety days, or as the tenant says'),
    ('messages', 'error', 'id', 'text', 'why somebody was not reached', 'what did not arrive must be seen', 'ninety days, or as the tenant says'),
    ('messages', 'once', 'id', 'text', 'that a message is queued once', 'nobody is told twice', 'ninety days, or as the tenant says'),
    ('messages', 'asked_by', 'id', 'login', 'who had something sent', 'accountability', 'ninety days, or as the tenant says'),
    ('messages', 'settled_by', 'id', 'login', 'who saw that it did not arrive', 'accountability', 'ninety days, or as the tenant says');
