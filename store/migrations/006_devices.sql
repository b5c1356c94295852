-- Devices known by name before they speak, and credentials of their own at the broker.

-- Whom a tenant admits: `open` takes a device in with its first message; `registered` takes only those that are in
-- `devices` already. `topics` are the foreign topics (their first levels) that its credentials may be granted: where a
-- server has several tenants, its owner says which of the topics outside of bellwether/ are whose.
ALTER TABLE tenants
    ADD COLUMN admission text NOT NULL DEFAULT 'open' CHECK (admission IN ('open', 'registered')),
    ADD COLUMN topics text[] NOT NULL DEFAULT '{}';

ALTER TABLE devices
    ADD COLUMN retired_at  timestamptz,          -- its messages are turned away from then on
    ADD COLUMN replaced_by text;                 -- the device that took its place
CREATE INDEX devices_retired ON devices (tenant, device) WHERE retired_at IS NOT NULL;
CREATE INDEX devices_replaced ON devices (tenant, replaced_by) WHERE replaced_by IS NOT NULL;

-- The gate: the one part of ours that tells the broker who may do what. One row. Names of credentials begin with
-- `prefix`, so that a gate never touches the clients of another installation at the same broker.
CREATE TABLE gate (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    prefix     text NOT NULL DEFAULT 'bw-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 6) || '-',
    public_key bytea,                            -- what passwords are sealed with; NULL: there has never been a gate
    seen_at    timestamptz
);
INSERT INTO gate DEFAULT VALUES;

CREATE TABLE device_credentials (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant       text NOT NULL REFERENCES tenants,
    device_id    integer REFERENCES devices,     -- NULL: a gateway, for any device of the tenant
    device       text,
    name         text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('password', 'certificate')),
    username     text NOT NULL UNIQUE,           -- a certificate's common name
    publishes    text[] NOT NULL DEFAULT '{}',   -- foreign topics, beside its own
    subscribes   text[] NOT NULL DEFAULT '{}',
    sealed       bytea,                          -- the password, for the gate alone, until the broker has it
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    expires_at   timestamptz,
    applied_at   timestamptz,                    -- the broker lets it in
    revoked_at   timestamptz,
    revoked_by   text,
    removed_at   timestamptz,                    -- the broker has thrown it out
    missing_at   timestamptz,                    -- the broker does not know it (any more): it must be made anew
    CHECK ((device_id IS NULL) = (device IS NULL)),
    CHECK (sealed IS NULL OR kind = 'password')
);
CREATE INDEX device_credentials_tenant ON device_credentials (tenant, created_at DESC, id DESC);
CREATE INDEX device_credentials_device ON device_credentials (device_id) WHERE revoked_at IS NULL;
CREATE INDEX device_credentials_standing ON device_credentials (created_at) WHERE removed_at IS NULL;

CREATE FUNCTION wake_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bellwether_gate', '');
    RETURN NULL;
END $$;
CREATE TRIGGER wake_gate AFTER INSERT OR UPDATE OF revoked_at ON device_credentials
    FOR EACH STATEMENT EXECUTE FUNCTION wake_gate();

-- Which foreign topics a tenant's credentials may be granted; all where it is alone on the server. The API itself sees
-- no other tenant.
CREATE FUNCTION foreign_topics() RETURNS TABLE (alone boolean, topics text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (SELECT count(*) FROM tenants) = 1, t.topics
    FROM tenants t WHERE t.id = current_setting('bellwether.tenant', true)
$$;
REVOKE ALL ON FUNCTION foreign_topics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION foreign_topics() TO bellwether_api;

ALTER TABLE device_credentials ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON device_credentials TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON device_credentials TO bellwether_ingest USING (true) WITH CHECK (true);

GRANT UPDATE (admission) ON tenants TO bellwether_api;
GRANT INSERT (tenant, device, kind, model, site), UPDATE (retired_at, replaced_by) ON devices TO bellwether_api;
GRANT SELECT ON gate TO bellwether_api;
GRANT SELECT (id, tenant, device_id, device, name, kind, username, publishes, subscribes, created_at, created_by, expires_at,
              applied_at, revoked_at, revoked_by, removed_at, missing_at),
      INSERT, UPDATE (revoked_at, revoked_by, sealed) ON device_credentials TO bellwether_api;
GRANT SELECT ON device_credentials TO bellwether_ingest;
GRANT UPDATE (sealed, applied_at, removed_at, missing_at) ON device_credentials TO bellwether_ingest;
GRANT SELECT, UPDATE (public_key, seen_at) ON gate TO bellwether_ingest;
