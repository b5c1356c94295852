-- Models: what the detectors have learnt of each machine, by version, and what its trial said.

-- `arrays`: an npz without objects; gone where it can't be come back to. `hash`: SHA-256 of it. `readings`, `learnt_from`,
-- `learnt_until`: what it was learnt from. `code`, `settings`: hashes of the detectors' source, and of the rules that
-- decided. Version 0 is what a machine had learnt by itself when a challenger first took its place.
CREATE TABLE models (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant        text NOT NULL REFERENCES tenants,
    device_id     integer NOT NULL REFERENCES devices,
    device        text NOT NULL,
    version       integer NOT NULL,
    state         text NOT NULL CHECK (state IN ('asked', 'challenger', 'champion', 'refused', 'retired', 'rolled_back')),
    asked_at      timestamptz NOT NULL DEFAULT now(),
    asked_by      text NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    made_at       timestamptz,
    learnt_from   timestamptz,
    learnt_until  timestamptz,
    learnt_days   real,                          -- healthy time between the two
    readings      bigint,
    code          text NOT NULL DEFAULT '',
    settings      text NOT NULL DEFAULT '',
    hash          text NOT NULL DEFAULT '',
    arrays        bytea,
    trial         jsonb,                         -- of this one, and of the champion beside it: see alarms/challengers.py
    reason        text NOT NULL DEFAULT '',      -- why it was refused, or rolled back
    replaces      uuid REFERENCES models,
    promoted_at   timestamptz,
    taken_at      timestamptz,                   -- ingest watches by it since then
    ended_at      timestamptz,
    ended_by      text NOT NULL DEFAULT '',
    UNIQUE (device_id, version)
);
CREATE UNIQUE INDEX models_one_champion ON models (device_id) WHERE state = 'champion';
CREATE UNIQUE INDEX models_one_waiting ON models (device_id) WHERE state IN ('asked', 'challenger');
CREATE INDEX models_waiting ON models (asked_at) WHERE state IN ('asked', 'challenger');
CREATE INDEX models_untaken ON models (promoted_at) WHERE state = 'champion' AND taken_at IS NULL;
CREATE INDEX models_tenant ON models (tenant, asked_at DESC, id DESC);

CREATE FUNCTION tell_of_model() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO live_events (tenant, kind, body)
    VALUES (NEW.tenant, 'model.' || NEW.state,
            jsonb_build_object('model_id', NEW.id, 'device', NEW.device, 'version', NEW.version, 'reason', NEW.reason,
                               'at', now()));
    PERFORM pg_notify('bellwether_live', NEW.tenant);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_model AFTER UPDATE OF state ON models FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION tell_of_model();

ALTER TABLE models ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON models TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true)) WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON models TO bellwether_ingest, bellwether_notify, bellwether_reader USING (true) WITH CHECK (true);

GRANT SELECT, INSERT (tenant, device_id, device, version, state, asked_by) ON models TO bellwether_api;
GRANT UPDATE (state, reason, taken_at, ended_at, ended_by) ON models TO bellwether_api;
GRANT SELECT, UPDATE (state, reason, taken_at, ended_at, ended_by) ON models TO bellwether_ingest;
GRANT SELECT, INSERT, UPDATE ON models TO bellwether_notify;
GRANT SELECT ON models TO bellwether_reader;
-- What it is made from: what ingest remembers, by which rules.
GRANT SELECT ON detector_state, rules, tenants TO bellwether_notify;
