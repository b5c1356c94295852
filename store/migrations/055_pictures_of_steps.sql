-- Pictures of procedures' steps; and pages hear of corrective actions.

-- Named by what is in it: never changed and never taken out, since versions and tickets show it for ever.
CREATE TABLE procedure_pictures (
    tenant   text NOT NULL REFERENCES tenants,
    sha256   text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    kind     text NOT NULL,                      -- found in its content: see tickets/attachments.py
    bytes    bigint NOT NULL CHECK (bytes > 0),
    content  bytea NOT NULL,
    added_at timestamptz NOT NULL,
    added_by text NOT NULL,
    PRIMARY KEY (tenant, sha256)
);
-- They are packed already: the server would try in vain.
ALTER TABLE procedure_pictures ALTER content SET STORAGE EXTERNAL;

ALTER TABLE procedure_pictures ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON procedure_pictures TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON procedure_pictures TO bellwether_reader USING (true);
-- An owner is shown what stands in a work order on their own machine.
CREATE POLICY own_of_owner ON procedure_pictures AS RESTRICTIVE TO bellwether_api
    USING (NOT is_narrowed() OR EXISTS (
        SELECT FROM ticket_procedures w
        WHERE w.steps @> jsonb_build_array(jsonb_build_object('picture', procedure_pictures.sha256))));
GRANT SELECT, INSERT ON procedure_pictures TO bellwether_api;
GRANT SELECT ON procedure_pictures TO bellwether_reader;

-- A problem that was found, and each step of what is done about it.
CREATE FUNCTION tell_of_action() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    VALUES (NEW.tenant, CASE TG_OP WHEN 'INSERT' THEN 'action.written' ELSE 'action.changed' END,
            jsonb_build_object('action_id', NEW.id, 'state', NEW.state, 'at', NEW.changed_at));
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_action AFTER INSERT OR UPDATE ON corrective_actions FOR EACH ROW EXECUTE FUNCTION tell_of_action();
REVOKE ALL ON FUNCTION tell_of_action() FROM PUBLIC;

-- Acts, and where people's data stand: see 026.
SELECT audit_table('procedure_pictures', 'procedure_picture', '{sha256}', '{kind,bytes}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('procedure_pictures', 'added_by', 'sha256', 'login', 'who added a picture to a procedure', 'accountability',
     'with the picture');
