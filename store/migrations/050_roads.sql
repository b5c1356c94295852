-- What becomes of an appointment: reminded of once, confirmed or asked to be another. And who answers for a site's alarms.

-- A row for each appointment that somebody was reminded of or answered; the appointment itself is a paper. It is reminded of
-- once, whoever looks, and whoever is killed.
CREATE TABLE appointments (
    paper_id    bigint PRIMARY KEY REFERENCES ticket_papers,
    ticket_id   uuid NOT NULL REFERENCES tickets,
    tenant      text NOT NULL REFERENCES tenants,
    reminded_at timestamptz,
    answer      text CHECK (answer IN ('confirmed', 'another_time')),  -- the customer's last word
    note        text NOT NULL DEFAULT '' CHECK (length(note) <= 4000),
    answered_at timestamptz,
    answers     integer NOT NULL DEFAULT 0,      -- how often they have said so: bounded
    CHECK ((answer IS NULL) = (answered_at IS NULL))
);
CREATE INDEX appointments_ticket ON appointments (ticket_id);

-- Looked through every few seconds for what is near: few of many.
CREATE INDEX tickets_scheduled ON tickets (tenant, id) WHERE state = 'scheduled';

-- Whose the alarms of a site are. Where nobody is said, they are everybody's who deals with alarms.
CREATE TABLE site_people (
    tenant     text NOT NULL REFERENCES tenants,
    site       text NOT NULL CHECK (length(site) BETWEEN 1 AND 128),
    login      text NOT NULL,                    -- of an engineer or dispatcher
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (tenant, site, login)
);
CREATE INDEX site_people_login ON site_people (tenant, login);

-- Who was erased answers for nothing any more.
CREATE FUNCTION forget_site_person() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM site_people WHERE tenant = NEW.tenant AND login = NEW.login;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_site_person AFTER UPDATE OF login ON site_people FOR EACH ROW
    WHEN (OLD.login <> NEW.login) EXECUTE FUNCTION forget_site_person();
REVOKE ALL ON FUNCTION forget_site_person() FROM PUBLIC;

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['appointments', 'site_people'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;
CREATE POLICY own_of_owner ON appointments AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR EXISTS (SELECT FROM tickets t WHERE t.id = ticket_id));
-- An owner is shown none of it.
CREATE POLICY own_of_owner ON site_people AS RESTRICTIVE TO bellwether_api USING (NOT is_narrowed());

-- Where a ticket's customer is reached: what was said with the last report, and what stands at the customer. It is asked by
-- who writes to them, and by nobody else.
CREATE FUNCTION contact_of_ticket(wanted uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT concat_ws(' ', (SELECT r.contact FROM ticket_reports r WHERE r.ticket_id = t.id ORDER BY r.at DESC LIMIT 1), c.contact)
    FROM tickets t
    LEFT JOIN device_files f ON f.device_id = t.device_id
    LEFT JOIN customers c ON c.id = f.customer_id
    WHERE t.id = wanted
$$;
REVOKE ALL ON FUNCTION contact_of_ticket(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION contact_of_ticket(uuid) TO bellwether_notify;

-- notify reminds of what was agreed, and tries rules beside all that people were called for.
CREATE POLICY agreed_of_notify ON ticket_papers FOR SELECT TO bellwether_notify USING (true);
CREATE POLICY called_of_notify ON alarm_calls FOR SELECT TO bellwether_notify USING (true);

GRANT SELECT, INSERT, UPDATE ON appointments TO bellwether_api, bellwether_notify;
GRANT SELECT, INSERT, DELETE ON site_people TO bellwether_api;
GRANT SELECT ON site_people, ticket_papers, alarm_calls TO bellwether_notify;
GRANT SELECT ON appointments, site_people TO bellwether_reader;

-- Acts, and where people's data stand: see 026.
SELECT audit_table('appointments', 'appointment', '{paper_id}', '{ticket_id,reminded_at,answer}', '{note}');
SELECT audit_table('site_people', 'site_person', '{site}', '{site}', '{login}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('appointments', 'note', 'paper_id', 'text', 'mentions in answers to appointments', 'somebody has to come when it suits', 'with the ticket'),
    ('site_people', 'login', 'site', 'login', 'who answers for a site', 'alarms are shared fairly', 'while they do; erased with them'),
    ('site_people', 'changed_by', 'site', 'login', 'who said who answers for a site', 'accountability', 'until it is changed');
