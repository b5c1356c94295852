-- Documents for the customer: diagnosis report, quote, service report, frozen as they are issued.

-- Of a document that was issued only a further version can be made. `content` is what is printed, word for word, see
-- tickets/documents.py; `sha256` is of `salt` and `content`, and is sealed in the audit log. Where somebody's name is
-- taken out of the content, the salt goes: nobody can try names against the hash.
CREATE TABLE documents (
    id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant    text NOT NULL REFERENCES tenants,
    ticket_id uuid NOT NULL REFERENCES tickets,
    turn      integer NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('diagnosis', 'quote', 'service')),
    number    text NOT NULL CHECK (number ~ '^[A-Z]{2}-[0-9]{4}-[0-9]{6,}$'),
    version   integer NOT NULL CHECK (version > 0),
    issued_at timestamptz NOT NULL,
    issued_by text NOT NULL,
    content   jsonb NOT NULL,
    salt      bytea CHECK (octet_length(salt) = 16),
    sha256    text NOT NULL,
    UNIQUE (tenant, number, version),
    UNIQUE (ticket_id, turn, kind, version)
);

-- The last number given, of a tenant's kind of document in a year. Its row is locked until whoever takes the next one has
-- committed, and goes back with them: no number is missing, and none comes twice.
CREATE TABLE document_numbers (
    tenant text NOT NULL REFERENCES tenants,
    kind   text NOT NULL,
    year   integer NOT NULL,
    last   integer NOT NULL,
    PRIMARY KEY (tenant, kind, year)
);

CREATE FUNCTION forget_salt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.salt := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER forget_salt BEFORE UPDATE OF content ON documents FOR EACH ROW
    WHEN (OLD.content IS DISTINCT FROM NEW.content) EXECUTE FUNCTION forget_salt();

-- By when the customer has the diagnosis, and the report of the repair. Which clocks there are is told by
-- `tickets.clocks.ClockName`.
ALTER TABLE ticket_clocks DROP CONSTRAINT ticket_clocks_clock_check;
ALTER TABLE ticket_clocks ADD CONSTRAINT ticket_clocks_clock_check CHECK (clock ~ '^[a-z_]{1,40}$');

-- Tenants apart, least rights ----------------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['documents', 'document_numbers'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_reader USING (true)', name);
    END LOOP;
END $$;
CREATE POLICY own_of_owner ON documents AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR EXISTS (SELECT FROM tickets t WHERE t.id = documents.ticket_id));

GRANT SELECT, INSERT ON documents, document_numbers TO bellwether_api;
GRANT UPDATE (last) ON document_numbers TO bellwether_api;
GRANT SELECT (id, tenant, ticket_id, turn, kind, number, version, issued_at, issued_by, sha256) ON documents TO bellwether_reader;
GRANT SELECT ON document_numbers TO bellwether_reader;

-- Acts, and where people's data stand: see 026.
SELECT audit_table('documents', 'document', '{number,version}', '{ticket_id,turn,kind,sha256}', '{issued_by,content}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('documents', 'issued_by', 'id', 'login', 'who issued a document', 'the history of the equipment', 'with the ticket'),
    ('documents', 'content', 'id', 'json', 'who worked and who signed, as it was printed', 'what was agreed with the customer',
     'with the ticket');
