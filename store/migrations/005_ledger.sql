-- The ledger to the message: each message is stored, duplicate, rejected or dropped; sequence numbers tell what is missing.
--
-- Each delivery adds one row to the journal, in the transaction that stores it; the ledger and the sequences are brought
-- up to date from it once in a while. After a crash the journal holds what they do not know yet.

ALTER TABLE ledger
    ADD COLUMN messages_stored    bigint NOT NULL DEFAULT 0,  -- something new in them, a reading or a status
    ADD COLUMN messages_duplicate bigint NOT NULL DEFAULT 0,  -- nothing in them but what was known
    ADD COLUMN messages_rejected  bigint NOT NULL DEFAULT 0,  -- nothing in them that could be taken
    ADD COLUMN messages_dropped   bigint NOT NULL DEFAULT 0,  -- nothing in them but readings older than the limit that was set
    ADD COLUMN contested          bigint NOT NULL DEFAULT 0,  -- readings kept beside another value of the same time
    ADD COLUMN dropped            bigint NOT NULL DEFAULT 0,  -- readings older than the limit that was set
    ADD COLUMN missing            bigint NOT NULL DEFAULT 0,  -- sequence numbers given up
    ADD COLUMN found              bigint NOT NULL DEFAULT 0,  -- sequence numbers that came after they had been given up
    ADD COLUMN played             bigint NOT NULL DEFAULT 0;  -- rejected messages that were played again, and stored
-- What was counted before was not told apart by message: rejects were whole messages, as a rule.
UPDATE ledger SET messages_rejected = least(rejected, messages), messages_stored = messages - least(rejected, messages);

-- Distinct values with the same stream and time: the first stands in `readings`, the others here.
CREATE TABLE contested (
    time      timestamptz NOT NULL,
    stream_id integer NOT NULL,
    value     double precision NOT NULL,
    quality   smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (stream_id, time, value)
);
SELECT create_hypertable('contested', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

CREATE TABLE journal (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    tallies bytea NOT NULL,                      -- arrays of plain numbers: `store.ledger` says of what
    counted bytea NOT NULL,
    others  jsonb NOT NULL DEFAULT '[]'          -- counts of those who are no device of ours
);

-- Which sequence numbers of a device have come. `boot` is -1 where the device gives none.
CREATE TABLE sequences (
    device_id integer NOT NULL REFERENCES devices,
    boot      bigint NOT NULL,
    tenant    text NOT NULL,
    begins    bigint NOT NULL,                   -- the first number that counts
    below     bigint NOT NULL,                   -- of all numbers below this it is known what became of them
    above     int8multirange NOT NULL DEFAULT '{}',  -- what has come beyond
    lost      int8multirange NOT NULL DEFAULT '{}',  -- the latest that were given up
    missing   bigint NOT NULL DEFAULT 0,
    found     bigint NOT NULL DEFAULT 0,
    restarts  integer NOT NULL DEFAULT 0,        -- how often the numbers began anew within a boot
    heard_at  timestamptz NOT NULL,
    PRIMARY KEY (device_id, boot)
);

ALTER TABLE sequences ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON sequences TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON sequences TO bellwether_ingest, bellwether_notify, bellwether_reader
    USING (true) WITH CHECK (true);
CREATE VIEW tenant_contested WITH (security_barrier) AS
    SELECT c.time, c.stream_id, c.value, c.quality
    FROM contested c JOIN streams s ON s.id = c.stream_id
    WHERE s.tenant = current_setting('bellwether.tenant', true);

GRANT SELECT, INSERT ON contested TO bellwether_ingest;
GRANT SELECT, INSERT, DELETE ON journal TO bellwether_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON sequences TO bellwether_ingest;
GRANT SELECT ON rejects TO bellwether_ingest;    -- whether a message that comes again was rejected before
GRANT SELECT ON sequences, tenant_contested TO bellwether_api;
GRANT SELECT ON contested, sequences TO bellwether_reader;
