-- What an alarm rests on: by hashes what scored it and by which rule, up to which reading; and a copy of what its detector
-- remembered of the machine before, from which its score is found again.

-- What was remembered of machines when alarms were raised: as saved last before the readings that raised them. One row for
-- what was raised of them at once. `arrays`: an npz without objects; `hash`: SHA-256 of it.
CREATE TABLE alarm_memories (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text NOT NULL REFERENCES tenants,
    raised_at timestamptz NOT NULL DEFAULT now(),
    hash      text NOT NULL,
    arrays    bytea NOT NULL
);
-- It has been compressed.
ALTER TABLE alarm_memories ALTER arrays SET STORAGE EXTERNAL;
CREATE INDEX alarm_memories_raised ON alarm_memories (tenant, raised_at);

ALTER TABLE alarms
    ADD COLUMN provenance jsonb NOT NULL DEFAULT '{}',   -- see store/origins.py; '{}': raised before there was any
    ADD COLUMN memory_id  bigint REFERENCES alarm_memories ON DELETE SET NULL;
CREATE INDEX alarms_memory ON alarms (memory_id) WHERE memory_id IS NOT NULL;

-- What a machine has learnt is no secret, but nobody asks for it over HTTP.
ALTER TABLE alarm_memories ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON alarm_memories TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON alarm_memories TO bellwether_ingest, bellwether_notify, bellwether_reader
    USING (true) WITH CHECK (true);

GRANT SELECT, INSERT ON alarm_memories TO bellwether_ingest;
GRANT SELECT, DELETE ON alarm_memories TO bellwether_notify;
GRANT SELECT ON alarm_memories, rules TO bellwether_reader;  -- enough to play an alarm again
