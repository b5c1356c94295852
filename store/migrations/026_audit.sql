-- The audit log: every act a row, written by triggers in the transaction of the act itself, sealed into a chain a tenant;
-- and the places in which people's data stand, so that they are listed and erased by the same list.
--
-- A later migration that makes a table which people or programs write to through the API calls `audit_table` for it, or
-- `audit_events` where it is a story of events, and adds its columns with people's data to `personal_places`.

-- Acts ---------------------------------------------------------------------------------------------------------------

-- `seq`, `hash`: its place in its tenant's chain; NULL until `notify` has sealed it, within seconds. `changes` is kept as
-- the very text that the hash is of. No person's name is in a row: `actor` and `subject` are ids, and of notes there is
-- only a digest, made with a salt that can be thrown away.
CREATE TABLE audit_acts (
    id       bigint PRIMARY KEY,
    tenant   text NOT NULL,                      -- '': of no tenant, a sign-in with a login that nobody has
    at       timestamptz NOT NULL,
    actor    text NOT NULL,                      -- user:…, key:…, program:… (the database's own name for it), nobody
    role     text NOT NULL,                      -- '' for a program that signs in to the database itself
    network  text NOT NULL,                      -- where from, shortened to /24 or /48; '' for programs
    via      text NOT NULL,                      -- who was signed in to the database
    route    text NOT NULL,                      -- POST /api/v1/… where it came through the API
    resource text NOT NULL,
    subject  text NOT NULL,                      -- which one
    action   text NOT NULL,
    changes  text NOT NULL,                      -- a JSON object
    seq      bigint,
    hash     bytea,
    CHECK ((seq IS NULL) = (hash IS NULL)),
    UNIQUE (tenant, seq)
);
CREATE SEQUENCE audit_acts_id OWNED BY audit_acts.id;
ALTER TABLE audit_acts ALTER COLUMN id SET DEFAULT nextval('audit_acts_id');
CREATE INDEX audit_acts_unsealed ON audit_acts (id) WHERE seq IS NULL;
CREATE INDEX audit_acts_tenant ON audit_acts (tenant, id DESC);
CREATE INDEX audit_acts_actor ON audit_acts (tenant, actor, id DESC);
CREATE INDEX audit_acts_subject ON audit_acts (tenant, resource, subject, id DESC);

-- What the digest of an event's words was made with. `erased_by`: the act of the erasure that took it away.
CREATE TABLE audit_salts (
    act       bigint PRIMARY KEY REFERENCES audit_acts ON DELETE CASCADE,
    tenant    text NOT NULL,
    salt      bytea,
    erased_by bigint,
    CHECK ((salt IS NULL) = (erased_by IS NOT NULL))
);
CREATE INDEX audit_salts_erased ON audit_salts (erased_by) WHERE erased_by IS NOT NULL;

-- Where a chain begins whose older part was removed because its time was over: what the first row kept is hashed upon.
CREATE TABLE audit_anchors (
    tenant text PRIMARY KEY,
    seq    bigint NOT NULL,
    hash   bytea NOT NULL,
    cut_at timestamptz NOT NULL DEFAULT now()
);

-- Append-only: the one change is the seal, the one removal `cut_audit`. The owner too has to switch this off first.
CREATE FUNCTION keep_acts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seq IS NULL AND NEW.seq IS NOT NULL
       AND to_jsonb(OLD) - 'seq' - 'hash' = to_jsonb(NEW) - 'seq' - 'hash' THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND current_setting('bellwether.cutting', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER keep_acts BEFORE UPDATE OR DELETE ON audit_acts FOR EACH ROW EXECUTE FUNCTION keep_acts();
CREATE TRIGGER keep_all_acts BEFORE TRUNCATE ON audit_acts FOR EACH STATEMENT EXECUTE FUNCTION keep_acts();

-- Who acts is said by the API in settings of its transaction; whoever says nothing is a program, by its own name.
CREATE FUNCTION write_act(of_tenant text, resource text, subject text, action text, changes jsonb, act bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    said text := nullif(current_setting('bellwether.actor', true), '');
BEGIN
    act := coalesce(act, nextval('audit_acts_id'));
    INSERT INTO audit_acts (id, tenant, at, actor, role, network, via, route, resource, subject, action, changes)
    VALUES (act, of_tenant, clock_timestamp(), coalesce(said, 'program:' || session_user),
            CASE WHEN said IS NULL THEN '' ELSE coalesce(current_setting('bellwether.role', true), '') END,
            CASE WHEN said IS NULL THEN '' ELSE coalesce(current_setting('bellwether.network', true), '') END,
            session_user,
            CASE WHEN said IS NULL THEN '' ELSE coalesce(current_setting('bellwether.route', true), '') END,
            resource, subject, action, coalesce(changes, '{}')::text);
    RETURN act;
END $$;

-- A row's subject: what is in these columns; a machine's id is shown as its name. Called by those below alone.
CREATE FUNCTION act_subject(fields jsonb, columns text[]) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    subject text := '';
    name    text;
BEGIN
    FOREACH name IN ARRAY columns LOOP
        IF name = 'device_id' THEN
            subject := subject || ' ' || (SELECT d.device FROM devices d WHERE d.id = (fields ->> name)::integer);
        ELSE
            subject := subject || ' ' || coalesce(fields ->> name, '');
        END IF;
    END LOOP;
    RETURN substr(subject, 2);
END $$;

-- A row made, changed or removed. Arguments: resource, columns of the subject, column of the tenant, columns shown,
-- columns of which only is said that they have changed. What neither list names, nobody sees here.
CREATE FUNCTION audit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    was     jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) END;
    became  jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE to_jsonb(NEW) END;
    there   jsonb := was || became;
    shown   text[] := TG_ARGV[3]::text[];
    noted   text[] := TG_ARGV[4]::text[];
    changes jsonb;
BEGIN
    SELECT jsonb_object_agg(name, CASE WHEN name = ANY(noted) THEN '"not shown"'
                                       -- Too high: a rule pasted together by a program fills the log.
                                       WHEN octet_length(was ->> name) > 4096 OR octet_length(became ->> name) > 4096
                                       THEN jsonb_build_object('sha256', encode(sha256(convert_to(became ->> name, 'UTF8')), 'hex'))
                                       WHEN TG_OP = 'UPDATE' THEN jsonb_build_array(was -> name, became -> name)
                                       ELSE there -> name END)
    INTO changes
    FROM unnest(shown || noted) AS wanted (name)
    WHERE coalesce(was -> name, 'null') <> coalesce(became -> name, 'null');
    IF changes IS NULL AND TG_OP = 'UPDATE' THEN
        RETURN NULL;
    END IF;
    PERFORM write_act(there ->> TG_ARGV[2], TG_ARGV[0], act_subject(there, TG_ARGV[1]::text[]),
                      CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'changed' ELSE 'removed' END, changes);
    RETURN NULL;
END $$;

CREATE FUNCTION audit_table(of_table regclass, resource text, subject text[], shown text[], noted text[] DEFAULT '{}',
                            tenant text DEFAULT 'tenant') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    columns text;
    differs text;
BEGIN
    SELECT string_agg(quote_ident(name), ', '), string_agg(format('OLD.%I IS DISTINCT FROM NEW.%I', name, name), ' OR ')
    INTO columns, differs FROM unnest(shown || noted) AS watched (name);
    EXECUTE format('CREATE TRIGGER audited AFTER INSERT OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION audit_row(%L, %L, %L, %L, %L)',
                   of_table, resource, subject, tenant, shown, noted);
    -- Looked at by the server before any of ours runs: an update of something else costs nothing.
    EXECUTE format('CREATE TRIGGER audited_changes AFTER UPDATE OF %s ON %s FOR EACH ROW WHEN (%s)
                    EXECUTE FUNCTION audit_row(%L, %L, %L, %L, %L)',
                   columns, of_table, differs, resource, subject, tenant, shown, noted);
END $$;

-- What an event's words come to: of texts that may have to be taken away only this is sealed, with a salt.
CREATE FUNCTION words_digest(salt bytea, fields jsonb, columns text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(sha256(salt || string_agg(convert_to(coalesce(fields ->> name, ''), 'UTF8') || '\x00', '' ORDER BY place)), 'hex')
    FROM unnest(columns) WITH ORDINALITY AS wanted (name, place)
$$;

-- An event of a story that is only added to. Arguments: resource, column of the subject, key of the event, column of the
-- action, columns shown, columns of words.
CREATE FUNCTION audit_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    said    jsonb := to_jsonb(NEW);
    salt    bytea := uuid_send(gen_random_uuid());
    changes jsonb;
    act     bigint;
BEGIN
    SELECT jsonb_object_agg(name, said -> name) INTO changes
    FROM unnest(TG_ARGV[4]::text[]) AS wanted (name) WHERE said ->> name <> '';
    act := write_act(NEW.tenant, TG_ARGV[0], said ->> TG_ARGV[1], said ->> TG_ARGV[3],
                     coalesce(changes, '{}') || jsonb_build_object('event', said ->> TG_ARGV[2],
                                                                   'words', words_digest(salt, said, TG_ARGV[5]::text[])));
    INSERT INTO audit_salts (act, tenant, salt) VALUES (act, NEW.tenant, salt);
    RETURN NULL;
END $$;

CREATE FUNCTION audit_events(of_table regclass, resource text, subject text, key text, action text, shown text[], words text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER audited AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION audit_event(%L, %L, %L, %L, %L, %L)',
                   of_table, resource, subject, key, action, shown, words);
END $$;

-- Messages asked to be played: one act for all that one statement asks for.
CREATE FUNCTION audit_replays() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM write_act(coalesce(asked.tenant, ''), 'rejects', '', 'replayed',
                      jsonb_build_object('messages', count(*), 'first', min(asked.reject), 'last', max(asked.reject)))
    FROM asked GROUP BY asked.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER audited AFTER INSERT ON replays REFERENCING NEW TABLE AS asked FOR EACH STATEMENT EXECUTE FUNCTION audit_replays();

SELECT audit_table('tenants', 'tenant', '{id}', '{admission,topics,clock_policy}', '{name}', tenant => 'id');
SELECT audit_table('users', 'user', '{id}', '{role,disabled_at}', '{login,name,password_hash}');
SELECT audit_table('api_keys', 'key', '{id}', '{name,role,expires_at,revoked_at}', '{key_hash}');
SELECT audit_table('devices', 'device', '{device}',
                   '{kind,model,site,gateway,expected_interval_s,clock_policy,retired_at,replaced_by}');
SELECT audit_table('machine_said', 'machine', '{device_id}', '{facts}');
SELECT audit_table('device_credentials', 'credential', '{id}',
                   '{device,name,kind,username,publishes,subscribes,expires_at,revoked_at}');
SELECT audit_table('rules', 'rule', '{id}', '{version,rule,enabled}');
SELECT audit_table('models', 'model', '{id}', '{device,version,state,hash}', '{reason}');
SELECT audit_table('vibration_baselines', 'baseline', '{device_id,axis}', '{waveform_id}');
SELECT audit_table('retention', 'retention', '{class}', '{keep_days}');
SELECT audit_events('alarm_events', 'alarm', 'occurrence_id', 'event_id', 'kind', '{at,state,severity,score}', '{who,note,evidence}');
SELECT audit_events('ticket_events', 'ticket', 'ticket_id', 'id', 'kind', '{at,from_state,to_state,event_id}', '{who,note,detail}');

-- What leaves no row of its own: signing in and out, and looking at somebody's data.
CREATE FUNCTION note_act(resource text, subject text, action text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (resource, action) NOT IN (('session', 'signed_in'), ('session', 'refused'), ('session', 'signed_out'),
                                  ('personal_data', 'listed'), ('personal_data', 'exported')) THEN
        RAISE EXCEPTION '% of %: that is noted where it is done', action, resource;
    END IF;
    PERFORM write_act(coalesce(current_setting('bellwether.tenant', true), ''), resource, subject, action, '{}');
END $$;

-- Retention: whole sealed prefixes. Removes at most so many rows of one tenant whose time is over and keeps what the rest
-- is hashed upon; how many went. The cut is an act of its own, which tells of the same place.
CREATE FUNCTION cut_audit(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept record;
    upto record;
    gone integer;
BEGIN
    FOR kept IN SELECT r.tenant, now() - make_interval(days => r.keep_days) AS since FROM retention r WHERE r.class = 'audit' LOOP
        -- Up to the first that is to stay: a row that was sealed late is no reason to leave a gap.
        SELECT o.seq, o.hash INTO upto
        FROM (SELECT a.seq, a.hash, bool_and(a.at < kept.since) OVER (ORDER BY a.seq) AS over
              FROM (SELECT seq, hash, at FROM audit_acts WHERE tenant = kept.tenant AND seq IS NOT NULL
                    ORDER BY seq LIMIT most) a) o
        WHERE o.over ORDER BY o.seq DESC LIMIT 1;
        CONTINUE WHEN NOT FOUND;
        PERFORM set_config('bellwether.cutting', 'on', true);
        DELETE FROM audit_acts WHERE tenant = kept.tenant AND seq <= upto.seq;
        GET DIAGNOSTICS gone = ROW_COUNT;
        PERFORM set_config('bellwether.cutting', '', true);
        INSERT INTO audit_anchors (tenant, seq, hash) VALUES (kept.tenant, upto.seq, upto.hash)
        ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, cut_at = now();
        PERFORM write_act(kept.tenant, 'audit', '', 'cut', jsonb_build_object('seq', upto.seq, 'hash', encode(upto.hash, 'hex')));
        RETURN gone;
    END LOOP;
    RETURN 0;
END $$;

-- People's data --------------------------------------------------------------------------------------------------------

-- Where they stand, beside `users`. `login`: the column is a login. `text`: somebody may have written of a person there.
-- `json`: either may be a value in it.
CREATE TABLE personal_places (
    table_name  text NOT NULL,
    column_name text NOT NULL,
    key_column  text NOT NULL,                   -- tells which row
    kind        text NOT NULL CHECK (kind IN ('login', 'text', 'json')),
    what        text NOT NULL,
    why         text NOT NULL,
    how_long    text NOT NULL,
    PRIMARY KEY (table_name, column_name)
);
INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('tickets', 'assignee', 'id', 'login', 'who was to repair', 'the work must be given to somebody', 'with the ticket'),
    ('tickets', 'title', 'id', 'text', 'mentions in a ticket''s title', 'the history of the equipment', 'with the ticket'),
    ('tickets', 'description', 'id', 'text', 'mentions in a report', 'the history of the equipment', 'with the ticket'),
    ('ticket_events', 'who', 'id', 'login', 'who took a step of a ticket', 'the history of the equipment', 'with the ticket'),
    ('ticket_events', 'note', 'id', 'text', 'mentions in notes', 'the history of the equipment', 'with the ticket'),
    ('ticket_events', 'detail', 'id', 'json', 'to whom a ticket was given', 'the history of the equipment', 'with the ticket'),
    ('alarms', 'acked_by', 'id', 'login', 'who acknowledged an alarm', 'the history of the equipment', 'with the alarm'),
    ('alarms', 'shelved_by', 'id', 'login', 'who shelved an alarm', 'the history of the equipment', 'with the alarm'),
    ('alarms', 'shelve_reason', 'id', 'text', 'mentions in reasons', 'the history of the equipment', 'until it leaves the shelf'),
    ('alarm_events', 'who', 'event_id', 'login', 'who took a step of an alarm', 'the history of the equipment', 'with the alarm'),
    ('alarm_events', 'note', 'event_id', 'text', 'mentions in notes', 'the history of the equipment', 'with the alarm'),
    ('rules', 'created_by', 'id', 'login', 'who changed a rule', 'accountability', 'with the rule'),
    ('api_keys', 'created_by', 'id', 'login', 'who made an API key', 'accountability', 'with the key'),
    ('device_credentials', 'created_by', 'id', 'login', 'who made a credential', 'accountability', 'with the credential'),
    ('device_credentials', 'revoked_by', 'id', 'login', 'who revoked a credential', 'accountability', 'with the credential'),
    ('replays', 'asked_by', 'reject', 'login', 'who had a message played again', 'accountability', 'until it is played'),
    ('retention', 'changed_by', 'class', 'login', 'who said how long something is kept', 'accountability', 'until it is changed'),
    ('models', 'asked_by', 'id', 'login', 'who had a machine trained', 'accountability', 'with the model'),
    ('models', 'ended_by', 'id', 'login', 'who rolled a model back', 'accountability', 'with the model'),
    ('models', 'reason', 'id', 'text', 'mentions in reasons', 'the history of the equipment', 'with the model'),
    ('machine_said', 'who', 'id', 'login', 'who said what a machine is built of', 'accountability', 'with the machine'),
    ('vibration_baselines', 'set_by', 'device_id', 'login', 'who took a waveform for healthy', 'accountability', 'until another is taken'),
    ('idempotency', 'body', 'key', 'json', 'answers kept for requests that come twice', 'requests are done once', 'a day'),
    ('live_events', 'body', 'id', 'json', 'news for open pages', 'pages that were away for a moment', 'a day');

-- What of a text is a person: any of these names as a word of its own.
CREATE FUNCTION person_pattern(names text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '(?<![[:alnum:]_.@+-])(?:' || string_agg(regexp_replace(name, '([^[:alnum:]_ ])', '\\\1', 'g'), '|' ORDER BY length(name) DESC)
           || ')(?![[:alnum:]_@+-])'
    FROM unnest(names) AS known (name) WHERE length(name) > 1
$$;

-- Where a place speaks of a person, as a condition on its rows; $1 the tenant, $2 the login, $3 the pattern.
CREATE FUNCTION person_condition(place personal_places) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE place.kind WHEN 'login' THEN format('tenant = $1 AND %I = $2', place.column_name)
                           ELSE format('tenant = $1 AND %I::text ~* $3', place.column_name) END
$$;

-- Everything that speaks of a person, place by place.
CREATE FUNCTION personal_data(login text, names text[])
RETURNS TABLE (table_name text, column_name text, what text, why text, how_long text, key text, value text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    place personal_places;
BEGIN
    FOR place IN SELECT * FROM personal_places p ORDER BY p.table_name, p.column_name LOOP
        RETURN QUERY EXECUTE format('SELECT $4, $5, $6, $7, $8, %I::text, %I::text FROM %I WHERE %s ORDER BY 6',
                                    place.key_column, place.column_name, place.table_name, person_condition(place))
        USING current_setting('bellwether.tenant'), login, person_pattern(names),
              place.table_name, place.column_name, place.what, place.why, place.how_long;
    END LOOP;
END $$;

-- Put a pseudonym in the place of a person everywhere, in one transaction with the act that tells of it; how many rows of
-- which table changed. The chain stays as it is: of the words of events that change, the salts go.
CREATE FUNCTION erase_person(of_user uuid, names text[], pseudonym text, note text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_tenant text := current_setting('bellwether.tenant');
    was       text := (SELECT u.login FROM users u WHERE u.id = of_user AND u.tenant = of_tenant);
    pattern   text := person_pattern(names || was);
    act       bigint := nextval('audit_acts_id');
    place     personal_places;
    changed   bigint;
    counts    jsonb := '{}';
    forgotten bigint := 0;
BEGIN
    FOR place IN SELECT * FROM personal_places ORDER BY table_name, column_name LOOP
        IF place.table_name IN ('alarm_events', 'ticket_events') THEN
            EXECUTE format('UPDATE audit_salts s SET salt = NULL, erased_by = $4 FROM audit_acts a
                            WHERE s.act = a.id AND s.salt IS NOT NULL AND a.tenant = $1 AND a.resource = %L
                              AND a.changes::jsonb ->> ''event'' IN (SELECT %I::text FROM %I WHERE %s)',
                           CASE place.table_name WHEN 'alarm_events' THEN 'alarm' ELSE 'ticket' END,
                           place.key_column, place.table_name, person_condition(place))
            USING of_tenant, was, pattern, act;
            GET DIAGNOSTICS changed = ROW_COUNT;
            forgotten := forgotten + changed;
        END IF;
        EXECUTE format('UPDATE %I SET %I = %s WHERE %s', place.table_name, place.column_name,
                       CASE place.kind WHEN 'login' THEN '$4'
                                       -- A name may be that of a field too: what is before a colon stays.
                                       WHEN 'text' THEN format('regexp_replace(%I, $3, $4, ''gi'')', place.column_name)
                                                       ELSE format('regexp_replace(%I::text, $3 || ''(?!": )'', $4, ''gi'')::jsonb', place.column_name) END,
                       person_condition(place))
        USING of_tenant, was, pattern, pseudonym;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed > 0 THEN
            counts := counts || jsonb_build_object(place.table_name, coalesce((counts ->> place.table_name)::bigint, 0) + changed);
        END IF;
    END LOOP;
    UPDATE users SET login = pseudonym, name = pseudonym, password_hash = '', password_at = now(),
                     disabled_at = coalesce(disabled_at, now())
    WHERE id = of_user AND tenant = of_tenant;
    counts := counts || jsonb_build_object('users', 1);
    PERFORM write_act(of_tenant, 'personal_data', of_user::text, 'erased',
                      jsonb_build_object('rows', counts, 'salts', forgotten, 'note', regexp_replace(note, pattern, pseudonym, 'gi')), act);
    RETURN counts;
END $$;

-- Tenants apart, least rights --------------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_acts', 'audit_salts', 'audit_anchors'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify, bellwether_reader USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION write_act(text, text, text, text, jsonb, bigint), note_act(text, text, text), cut_audit(integer),
    act_subject(jsonb, text[]), personal_data(text, text[]), erase_person(uuid, text[], text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_act(text, text, text), personal_data(text, text[]), erase_person(uuid, text[], text, text)
    TO bellwether_api;
GRANT EXECUTE ON FUNCTION cut_audit(integer) TO bellwether_notify;
-- Nobody adds a row but through the triggers. The API sees no salt.
GRANT SELECT ON audit_acts, audit_anchors TO bellwether_api, bellwether_notify, bellwether_reader;
GRANT UPDATE (seq, hash) ON audit_acts TO bellwether_notify;
GRANT SELECT ON audit_salts TO bellwether_reader;

-- How long the oldest act has waited for its seal: nothing else of other tenants.
CREATE FUNCTION unsealed_seconds() RETURNS double precision
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0) FROM audit_acts WHERE seq IS NULL
$$;
REVOKE ALL ON FUNCTION unsealed_seconds() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION unsealed_seconds() TO bellwether_api, bellwether_notify, bellwether_reader;
