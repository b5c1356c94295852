-- Reports of people: what they say of a fault, in standard terms beside their own words, and the files that come with it.
--
-- A ticket has as many reports as there were: each adds to what is known, none is changed. Files lie here in pieces, so
-- that they are in the backup, go with their tenant's wall and are taken out in a transaction: see decision 056.

CREATE TABLE ticket_reports (
    id         uuid PRIMARY KEY,                 -- of the reporter's making: the same one twice is one
    tenant     text NOT NULL REFERENCES tenants,
    ticket_id  uuid NOT NULL REFERENCES tickets,
    at         timestamptz NOT NULL,
    who        text NOT NULL,
    symptom    text NOT NULL DEFAULT '',         -- see tickets/intake.py; empty: nothing new is said of it
    words      text NOT NULL DEFAULT '',         -- their own
    error_code text,                             -- empty: it shows none; NULL: nobody has said
    situation  text NOT NULL DEFAULT '',         -- what it was doing
    began_at   timestamptz,
    contact    text NOT NULL DEFAULT '',         -- whom to call about this
    service    text NOT NULL DEFAULT '' CHECK (service IN ('', 'on_site', 'send_in', 'remote')),
    windows    jsonb NOT NULL DEFAULT '[]'       -- [{"from", "to"}], when it suits
);
CREATE INDEX ticket_reports_ticket ON ticket_reports (ticket_id, at);

CREATE TABLE attachments (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant     text NOT NULL REFERENCES tenants,
    ticket_id  uuid NOT NULL REFERENCES tickets,
    name       text NOT NULL,                    -- as it is shown and kept; nothing lies anywhere under it
    kind       text NOT NULL,                    -- found in its content: see tickets/attachments.py
    shows      text NOT NULL CHECK (shows IN ('fault', 'before', 'after')),
    bytes      bigint NOT NULL CHECK (bytes > 0),
    sha256     bytea NOT NULL,
    added_at   timestamptz NOT NULL,
    added_by   text NOT NULL,
    removed_at timestamptz,                      -- its content is gone, this line stays
    removed_by text,
    CHECK ((removed_at IS NULL) = (removed_by IS NULL)),
    UNIQUE (id, tenant)
);
CREATE INDEX attachments_ticket ON attachments (ticket_id, added_at);
CREATE INDEX attachments_kept ON attachments (tenant) INCLUDE (bytes) WHERE removed_at IS NULL;

CREATE TABLE attachment_pieces (
    attachment_id uuid NOT NULL,
    place         integer NOT NULL,
    tenant        text NOT NULL,
    content       bytea NOT NULL,
    PRIMARY KEY (attachment_id, place),
    FOREIGN KEY (attachment_id, tenant) REFERENCES attachments (id, tenant)
);
-- Photos and videos are packed already: the server would try in vain.
ALTER TABLE attachment_pieces ALTER content SET STORAGE EXTERNAL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ticket_reports', 'attachments', 'attachment_pieces'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;
-- Whoever does not see a ticket sees nothing of what came with it: the ticket's own wall is asked.
CREATE POLICY own_of_owner ON ticket_reports AS RESTRICTIVE TO bellwether_api
    USING (EXISTS (SELECT FROM tickets t WHERE t.id = ticket_id));
CREATE POLICY own_of_owner ON attachments AS RESTRICTIVE TO bellwether_api
    USING (EXISTS (SELECT FROM tickets t WHERE t.id = ticket_id));
CREATE POLICY own_of_owner ON attachment_pieces AS RESTRICTIVE TO bellwether_api
    USING (EXISTS (SELECT FROM attachments a WHERE a.id = attachment_id));

GRANT SELECT, INSERT ON ticket_reports TO bellwether_api;
GRANT SELECT, INSERT, UPDATE (removed_at, removed_by) ON attachments TO bellwether_api;
GRANT SELECT, INSERT, DELETE ON attachment_pieces TO bellwether_api;
GRANT SELECT ON ticket_reports, attachments TO bellwether_reader;
-- Retention: what is over is taken out.
GRANT SELECT, UPDATE (removed_at, removed_by) ON attachments TO bellwether_notify;
GRANT SELECT (attachment_id), DELETE ON attachment_pieces TO bellwether_notify;

SELECT audit_table('ticket_reports', 'report', '{id}', '{ticket_id,symptom,service}', '{words,situation,contact}');
SELECT audit_table('attachments', 'attachment', '{id}', '{ticket_id,kind,shows,bytes,sha256,removed_at}', '{name}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('ticket_reports', 'who', 'id', 'login', 'who reported a fault', 'the history of the equipment', 'with the ticket'),
    ('ticket_reports', 'words', 'id', 'text', 'mentions in a report', 'the history of the equipment', 'with the ticket'),
    ('ticket_reports', 'situation', 'id', 'text', 'mentions in a report', 'the history of the equipment', 'with the ticket'),
    ('ticket_reports', 'contact', 'id', 'text', 'whom to call about a fault', 'customers must be reached', 'with the ticket'),
    ('attachments', 'name', 'id', 'text', 'mentions in a file''s name', 'the history of the equipment', 'with the ticket'),
    ('attachments', 'added_by', 'id', 'login', 'who added a file', 'accountability', 'with the ticket'),
    ('attachments', 'removed_by', 'id', 'login', 'who took a file out', 'accountability', 'with the ticket');
