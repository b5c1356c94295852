-- Customers' data listed and erased: where their own words, names, files and signatures stand, beside the mentions of
-- `personal_places`; and their documents, which go when they need not be kept any more. See decision 074.

ALTER TABLE customers ADD COLUMN erased_at timestamptz;

-- `customer_erased`: whose it is was erased, and it goes when its time is over. `removed_at`: what stood in it is gone;
-- number, version, day and hash stay.
ALTER TABLE documents
    ADD COLUMN customer_erased boolean NOT NULL DEFAULT false,
    ADD COLUMN removed_at timestamptz;
CREATE INDEX documents_to_go ON documents (issued_at) WHERE customer_erased AND removed_at IS NULL;

-- `theirs`: which rows of x, of a tenant; `becomes`: what stands there afterwards, NULL where it is taken out in a way of
-- its own. In both $2 is the customer, $3 their tickets, $4 their logins and `customer`, who acts by a ticket's code;
-- $5: files that others added count too; $6 the pseudonym.
CREATE TABLE customer_places (
    table_name  text NOT NULL,
    column_name text NOT NULL,
    key_column  text NOT NULL,                   -- tells which row
    theirs      text NOT NULL,
    becomes     text,
    what        text NOT NULL,
    why         text NOT NULL,
    how_long    text NOT NULL,
    PRIMARY KEY (table_name, column_name)
);
INSERT INTO customer_places (table_name, column_name, key_column, theirs, becomes, what, why, how_long) VALUES
    ('customers', 'name', 'number', $$x.id = $2$$, $$$6$$, 'who it is', 'customers must be reached', 'with the customer'),
    ('customers', 'contact', 'number', $$x.id = $2 AND x.contact <> ''$$, $$''$$, 'whom to call', 'customers must be reached',
     'with the customer'),
    ('customers', 'notes', 'number', $$x.id = $2 AND x.notes <> ''$$, $$''$$, 'what is noted of them',
     'customers must be reached', 'with the customer'),
    ('users', 'login', 'id', $$x.customer_id = $2 AND x.password_hash <> ''$$, NULL, 'who of them may sign in',
     'owners see their machines', 'with the account'),
    ('users', 'name', 'id', $$x.customer_id = $2 AND x.password_hash <> ''$$, NULL, 'what they are called',
     'owners see their machines', 'with the account'),
    ('tickets', 'title', 'id',
     $$x.id = ANY($3) AND x.source = 'person'
       AND EXISTS (SELECT FROM ticket_events e WHERE e.ticket_id = x.id AND e.kind = 'opened' AND e.who = ANY($4))
       AND NOT EXISTS (SELECT FROM ticket_reports r WHERE r.ticket_id = x.id AND r.symptom <> '')$$,
     $$x.device || ': reported by the customer'$$, 'a fault in their words', 'the history of the equipment', 'with the ticket'),
    ('tickets', 'description', 'id',
     $$x.id = ANY($3) AND x.source = 'person' AND x.description <> ''
       AND EXISTS (SELECT FROM ticket_events e WHERE e.ticket_id = x.id AND e.kind = 'opened' AND e.who = ANY($4))$$,
     $$''$$, 'a fault in their words', 'the history of the equipment', 'with the ticket'),
    ('ticket_reports', 'words', 'id', $$x.ticket_id = ANY($3) AND x.who = ANY($4) AND x.words <> ''$$, $$''$$,
     'a fault in their words', 'the history of the equipment', 'with the ticket'),
    ('ticket_reports', 'situation', 'id', $$x.ticket_id = ANY($3) AND x.who = ANY($4) AND x.situation <> ''$$, $$''$$,
     'a fault in their words', 'the history of the equipment', 'with the ticket'),
    ('ticket_reports', 'contact', 'id', $$x.ticket_id = ANY($3) AND x.contact <> ''$$, $$''$$,
     'whom to call about a fault', 'customers must be reached', 'with the ticket'),
    ('ticket_events', 'note', 'id', $$x.ticket_id = ANY($3) AND x.who = ANY($4) AND x.note <> ''$$, $$''$$,
     'what they said on the way', 'the history of the equipment', 'with the ticket'),
    ('ticket_events', 'detail', 'id',
     $$x.ticket_id = ANY($3) AND x.kind IN ('file_added', 'file_removed') AND (x.who = ANY($4) OR $5) AND x.detail ->> 'name' <> $6$$,
     $$x.detail || jsonb_build_object('name', $6)$$, 'the name of a file', 'the history of the equipment', 'with the ticket'),
    ('ticket_papers', 'body', 'id', $$x.ticket_id = ANY($3) AND x.paper IN ('answer', 'signature') AND x.body ->> 'name' <> $6$$,
     $$x.body || jsonb_build_object('name', $6) || CASE WHEN x.body ? 'note' THEN '{"note": ""}' ELSE '{}' END::jsonb
       || CASE WHEN x.body ? 'strokes' THEN '{"strokes": []}' ELSE '{}' END::jsonb$$,
     'who answered a quote, who signed, and the signature', 'what was agreed with the customer', 'with the ticket'),
    ('attachments', 'name', 'id', $$x.ticket_id = ANY($3) AND (x.added_by = ANY($4) OR $5) AND x.name <> $6$$, $$$6$$,
     'their photos and files', 'the history of the equipment', 'with the ticket, or as the tenant says'),
    ('documents', 'content', 'id', $$x.ticket_id = ANY($3) AND x.removed_at IS NULL$$, NULL,
     'what was issued to them, as it was printed', 'what was agreed with the customer',
     'with the ticket; of who is erased ten years, or as the tenant says'),
    ('surveys', 'comment', 'id', $$x.ticket_id = ANY($3) AND x.comment <> ''$$, $$''$$, 'what they said of a repair',
     'service is to become better', 'with the ticket'),
    ('appointments', 'note', 'paper_id', $$x.ticket_id = ANY($3) AND x.note <> ''$$, $$''$$, 'when it suits them',
     'somebody has to come when it suits', 'with the ticket'),
    ('appointments', 'said_by', 'paper_id', $$x.ticket_id = ANY($3) AND x.said_by <> ''$$, $$''$$, 'who answered for them',
     'somebody has to come when it suits', 'with the ticket'),
    ('messages', 'page', 'id', $$x.ticket_id = ANY($3) AND x.login = '' AND x.page <> ''$$, $$''$$, 'where they were led to',
     'customers must be reached', 'ninety days, or as the tenant says'),
    ('messages', 'recipient', 'id', $$x.ticket_id = ANY($3) AND x.login = '' AND x.recipient <> ''$$, $$''$$,
     'their e-mail address', 'customers must be reached', 'ninety days, or as the tenant says'),
    ('messages', 'subject', 'id', $$x.ticket_id = ANY($3) AND x.login = '' AND x.subject <> $6$$, $$$6$$,
     'what they were told', 'what did not arrive must be seen', 'ninety days, or as the tenant says'),
    ('messages', 'body', 'id', $$x.ticket_id = ANY($3) AND x.login = '' AND x.body <> $6$$, $$$6$$,
     'what they were told', 'what did not arrive must be seen', 'ninety days, or as the tenant says');

-- Tickets of the machines that are theirs now, and whoever acts for them there.
CREATE FUNCTION tickets_of_customer(of_tenant text, of_customer uuid) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(t.id), '{}') FROM tickets t JOIN device_files f ON f.device_id = t.device_id
    WHERE f.customer_id = of_customer AND f.tenant = of_tenant AND t.tenant = of_tenant
$$;
CREATE FUNCTION logins_of_customer(of_tenant text, of_customer uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(u.login), '{}') || 'customer'::text FROM users u
    WHERE u.customer_id = of_customer AND u.tenant = of_tenant
$$;

-- What is theirs, place by place, as `personal_data` does for mentions.
CREATE FUNCTION customer_data(of_customer uuid, all_files boolean)
RETURNS TABLE (table_name text, column_name text, what text, why text, how_long text, key text, value text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_tenant text := current_setting('bellwether.tenant');
    place     customer_places;
BEGIN
    FOR place IN SELECT * FROM customer_places p ORDER BY p.table_name, p.column_name LOOP
        RETURN QUERY EXECUTE format('SELECT $7, $8, $9, $10, $11, x.%I::text, x.%I::text FROM %I x WHERE x.tenant = $1 AND %s ORDER BY 6',
                                    place.key_column, place.column_name, place.table_name, place.theirs)
        USING of_tenant, of_customer, tickets_of_customer(of_tenant, of_customer), logins_of_customer(of_tenant, of_customer),
              all_files, '', place.table_name, place.column_name, place.what, place.why, place.how_long;
    END LOOP;
END $$;

-- Of the words of events that change, the salts go: nobody can try names against what is sealed. How many went.
CREATE FUNCTION forget_words(of_tenant text, of_table text, events text[], by_act bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    changed bigint;
BEGIN
    UPDATE audit_salts s SET salt = NULL, erased_by = by_act FROM audit_acts a
    WHERE s.act = a.id AND s.salt IS NOT NULL AND a.tenant = of_tenant
      AND a.resource = CASE of_table WHEN 'alarm_events' THEN 'alarm' WHEN 'ticket_events' THEN 'ticket' END
      AND a.changes::jsonb ->> 'event' = ANY(events);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

-- Put a pseudonym in the place of a login (NULL: of none) and of what a pattern finds, in all of `personal_places` but some
-- tables: {"rows": how many of which table, "salts": how many went}.
CREATE FUNCTION take_out_mentions(of_tenant text, of_login text, pattern text, pseudonym text, act bigint, but text[] DEFAULT '{}')
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    place     personal_places;
    events    text[];
    changed   bigint;
    counts    jsonb := '{}';
    forgotten bigint := 0;
BEGIN
    FOR place IN SELECT * FROM personal_places p WHERE p.table_name <> ALL(but) ORDER BY p.table_name, p.column_name LOOP
        IF place.table_name IN ('alarm_events', 'ticket_events') THEN
            EXECUTE format('SELECT array_agg(%I::text) FROM %I WHERE %s', place.key_column, place.table_name, person_condition(place))
            INTO events USING of_tenant, of_login, pattern;
            forgotten := forgotten + forget_words(of_tenant, place.table_name, events, act);
        END IF;
        EXECUTE format('UPDATE %I SET %I = %s WHERE %s', place.table_name, place.column_name,
                       CASE place.kind WHEN 'login' THEN '$4'
                                       -- A name may be that of a field too: what is before a colon stays.
                                       WHEN 'text' THEN format('regexp_replace(%I, $3, $4, ''gi'')', place.column_name)
                                                       ELSE format('regexp_replace(%I::text, $3 || ''(?!": )'', $4, ''gi'')::jsonb', place.column_name) END,
                       person_condition(place))
        USING of_tenant, of_login, pattern, pseudonym;
        GET DIAGNOSTICS changed = ROW_COUNT;
        counts := more_rows(counts, place.table_name, changed);
    END LOOP;
    RETURN jsonb_build_object('rows', counts, 'salts', forgotten);
END $$;

CREATE FUNCTION more_rows(counts jsonb, of_table text, changed bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN changed > 0
           THEN counts || jsonb_build_object(of_table, coalesce((counts ->> of_table)::bigint, 0) + changed) ELSE counts END
$$;

CREATE FUNCTION all_rows(counts jsonb, added jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(one.key, one.rows), '{}') FROM (
        SELECT both_of.key, sum(both_of.value::bigint) AS rows
        FROM (SELECT * FROM jsonb_each_text(counts) UNION ALL SELECT * FROM jsonb_each_text(added)) both_of GROUP BY 1) one
$$;

CREATE FUNCTION end_account(of_user uuid, pseudonym text) RETURNS void LANGUAGE sql AS $$
    UPDATE users SET login = pseudonym, name = pseudonym, password_hash = '', password_at = now(),
                     disabled_at = coalesce(disabled_at, now())
    WHERE id = of_user
$$;

-- As in 026.
CREATE OR REPLACE FUNCTION erase_person(of_user uuid, names text[], pseudonym text, note text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_tenant text := current_setting('bellwether.tenant');
    was       text := (SELECT u.login FROM users u WHERE u.id = of_user AND u.tenant = of_tenant);
    pattern   text := person_pattern(names || was);
    act       bigint := nextval('audit_acts_id');
    gone      jsonb := take_out_mentions(of_tenant, was, pattern, pseudonym, act);
    counts    jsonb := gone -> 'rows' || jsonb_build_object('users', 1);
BEGIN
    PERFORM end_account(u.id, pseudonym) FROM users u WHERE u.id = of_user AND u.tenant = of_tenant;
    PERFORM write_act(of_tenant, 'personal_data', of_user::text, 'erased',
                      jsonb_build_object('rows', counts, 'salts', gone -> 'salts', 'note', regexp_replace(note, pattern, pseudonym, 'gi')), act);
    RETURN counts;
END $$;

-- Of documents whose customers were erased, those that need not be kept any more: what stood in them goes, and so does the
-- salt of their hash (see 047). At most so many, of one tenant or of all; `otherwise`: days where the tenant says nothing.
CREATE FUNCTION expire_papers(most integer, otherwise integer, of_tenant text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone integer;
BEGIN
    UPDATE documents d SET removed_at = now(), content = jsonb_build_object(
        'title', d.content -> 'title', 'number', d.content -> 'number', 'facts', jsonb_build_array(),
        'sections', jsonb_build_array(jsonb_build_object(
            'heading', 'Erased', 'facts', jsonb_build_array(), 'table', NULL, 'strokes', jsonb_build_array(), 'paragraphs', jsonb_build_array(
                'What stood here was of somebody whose data was erased. Number, version, day and hash stay.'))))
    WHERE d.id IN (SELECT o.id FROM documents o LEFT JOIN retention r ON r.tenant = o.tenant AND r.class = 'papers'
                   WHERE o.customer_erased AND o.removed_at IS NULL AND (of_tenant IS NULL OR o.tenant = of_tenant)
                     AND o.issued_at < now() - make_interval(days => coalesce(r.keep_days, otherwise))
                   LIMIT most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- Take a customer out of everything, in one transaction with the act that tells of it: how many rows of which table. Their
-- machines, and what was done to them, stay. The caller has looked that no ticket of theirs is open.
CREATE FUNCTION erase_customer(of_customer uuid, names text[], pseudonym text, note text, all_files boolean, papers_days integer)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_tenant text := current_setting('bellwether.tenant');
    pattern   text := person_pattern(names);
    act       bigint := nextval('audit_acts_id');
    of_tickets uuid[] := tickets_of_customer(of_tenant, of_customer);
    logins    text[] := logins_of_customer(of_tenant, of_customer);
    place     customer_places;
    owner     record;
    gone      jsonb;
    events    text[];
    changed   bigint;
    counts    jsonb := '{}';
    forgotten bigint := 0;
BEGIN
    UPDATE customers c SET erased_at = now() WHERE c.id = of_customer AND c.tenant = of_tenant AND c.erased_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such customer of this tenant' USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE attachments a SET removed_at = now(), removed_by = 'bellwether'
    WHERE a.tenant = of_tenant AND a.ticket_id = ANY(of_tickets) AND a.removed_at IS NULL AND (a.added_by = ANY(logins) OR all_files);
    DELETE FROM attachment_pieces p USING attachments a
    WHERE a.id = p.attachment_id AND a.ticket_id = ANY(of_tickets) AND a.tenant = of_tenant AND a.removed_at IS NOT NULL;
    UPDATE surveys s SET expires_at = least(s.expires_at, now()) WHERE s.tenant = of_tenant AND s.ticket_id = ANY(of_tickets);
    UPDATE messages m SET state = 'undeliverable', ended_at = now(), settled_at = now(), settled_by = 'bellwether'
    WHERE m.tenant = of_tenant AND m.ticket_id = ANY(of_tickets) AND m.login = '' AND m.state = 'waiting';
    UPDATE documents d SET customer_erased = true WHERE d.tenant = of_tenant AND d.ticket_id = ANY(of_tickets);

    FOR place IN SELECT * FROM customer_places p WHERE p.becomes IS NOT NULL ORDER BY p.table_name, p.column_name LOOP
        IF place.table_name = 'ticket_events' THEN
            EXECUTE format('SELECT array_agg(x.%I::text) FROM %I x WHERE x.tenant = $1 AND %s',
                           place.key_column, place.table_name, place.theirs)
            INTO events USING of_tenant, of_customer, of_tickets, logins, all_files, pseudonym;
            forgotten := forgotten + forget_words(of_tenant, place.table_name, events, act);
        END IF;
        EXECUTE format('UPDATE %I x SET %I = %s WHERE x.tenant = $1 AND %s',
                       place.table_name, place.column_name, place.becomes, place.theirs)
        USING of_tenant, of_customer, of_tickets, logins, all_files, pseudonym;
        GET DIAGNOSTICS changed = ROW_COUNT;
        counts := more_rows(counts, place.table_name, changed);
    END LOOP;

    FOR owner IN SELECT u.id, u.login, u.name, row_number() OVER (ORDER BY u.created_at, u.id) AS place
                 FROM users u WHERE u.customer_id = of_customer AND u.tenant = of_tenant AND u.password_hash <> '' LOOP
        gone := take_out_mentions(of_tenant, owner.login, person_pattern(ARRAY[owner.login, owner.name]),
                                  pseudonym || '-' || owner.place, act, '{documents}');
        PERFORM end_account(owner.id, pseudonym || '-' || owner.place);
        counts := all_rows(more_rows(counts, 'users', 1), gone -> 'rows');
        forgotten := forgotten + (gone ->> 'salts')::bigint;
    END LOOP;

    gone := take_out_mentions(of_tenant, NULL, pattern, pseudonym, act, '{documents}');
    counts := all_rows(counts, gone -> 'rows');
    forgotten := forgotten + (gone ->> 'salts')::bigint;
    counts := more_rows(counts, 'documents', expire_papers(1000000, papers_days, of_tenant));
    PERFORM write_act(of_tenant, 'personal_data', of_customer::text, 'erased',
                      jsonb_build_object('rows', counts, 'salts', forgotten, 'note', regexp_replace(note, pattern, pseudonym, 'gi')), act);
    RETURN counts;
END $$;

REVOKE ALL ON FUNCTION tickets_of_customer(text, uuid), logins_of_customer(text, uuid), customer_data(uuid, boolean),
    forget_words(text, text, text[], bigint), take_out_mentions(text, text, text, text, bigint, text[]), end_account(uuid, text),
    expire_papers(integer, integer, text), erase_customer(uuid, text[], text, text, boolean, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION customer_data(uuid, boolean), erase_customer(uuid, text[], text, text, boolean, integer) TO bellwether_api;
GRANT EXECUTE ON FUNCTION expire_papers(integer, integer, text) TO bellwether_notify;
