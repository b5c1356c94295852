-- Rejects that can be looked at, played again when what refused them has been put right, and forgotten.
--
-- A message makes a row for each part of it that was refused. The first of them keeps the message, as long as it is not
-- too long and there is room for it; playing any of them plays the message.

CREATE SEQUENCE rejects_id;
ALTER TABLE rejects
    ADD COLUMN id           bigint,
    ADD COLUMN message      bigint,                         -- the row that keeps the message; NULL: this one
    ADD COLUMN content_type text NOT NULL DEFAULT '',
    ADD COLUMN moment       timestamptz,                    -- what stands for the time of readings that have none
    ADD COLUMN whole        boolean NOT NULL DEFAULT false, -- the message is kept whole: it can be played
    ADD COLUMN alone        boolean NOT NULL DEFAULT false, -- nothing else of the message was taken
    ADD COLUMN played_at    timestamptz,
    ADD COLUMN outcome      text;                           -- of playing it: stored, duplicate, or why it was refused again
UPDATE rejects SET id = nextval('rejects_id'), whole = octet_length(payload) = bytes;
ALTER TABLE rejects ALTER COLUMN id SET DEFAULT nextval('rejects_id');
ALTER TABLE rejects ALTER COLUMN id SET NOT NULL;
CREATE INDEX rejects_by_id ON rejects (id);
CREATE INDEX rejects_by_message ON rejects (coalesce(message, id));

-- Messages that somebody wants played again, until `ingest` has done it. Asking twice is asking once.
CREATE TABLE replays (
    reject   bigint PRIMARY KEY,                 -- the row that keeps the message
    at       timestamptz NOT NULL,               -- of that row
    tenant   text,                               -- NULL: of nobody we know; only the owner of the database can ask
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX replays_order ON replays (asked_at, reject);

ALTER TABLE replays ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON replays TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON replays TO bellwether_ingest, bellwether_notify, bellwether_reader
    USING (true) WITH CHECK (true);

-- Rejects that were forgotten because their time was over, by device; '' where there was none. What the ledger says was
-- rejected, less these, is there.
CREATE TABLE rejects_gone (
    tenant  text NOT NULL,
    device  text NOT NULL,
    rejects bigint NOT NULL,
    PRIMARY KEY (tenant, device)
);
ALTER TABLE rejects_gone ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON rejects_gone TO bellwether_reader USING (true);

CREATE OR REPLACE VIEW tenant_rejects WITH (security_barrier) AS
    SELECT r.at, r.tenant, r.device, r.topic, r.payload, r.bytes, r.reason,
           r.id, r.message, r.content_type, r.whole, r.played_at, r.outcome
    FROM rejects r
    WHERE r.tenant = current_setting('bellwether.tenant', true);

-- Forget what is older than so many days (NULL: each tenant's own time, 30 days where it said none), and note how much.
CREATE FUNCTION forget_rejects(days integer DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    shortest integer := coalesce(days, (SELECT least(min(keep_days), 30) FROM retention WHERE class = 'rejects'));
    longest  integer := coalesce(days, (SELECT greatest(max(keep_days), 30) FROM retention WHERE class = 'rejects'));
    gone     bigint;
BEGIN
    WITH forgotten AS (
        DELETE FROM rejects r
        WHERE r.at < now() - make_interval(days => shortest)
          AND r.at < now() - make_interval(days => coalesce(
              days, (SELECT k.keep_days FROM retention k WHERE k.tenant = r.tenant AND k.class = 'rejects'), 30))
        RETURNING coalesce(r.tenant, '') AS tenant, coalesce(r.device, '') AS device
    ), noted AS (
        INSERT INTO rejects_gone (tenant, device, rejects)
        SELECT tenant, device, count(*) FROM forgotten GROUP BY tenant, device
        ON CONFLICT (tenant, device) DO UPDATE SET rejects = rejects_gone.rejects + excluded.rejects
    )
    SELECT count(*) INTO gone FROM forgotten;
    -- Empty by now; a chunk of a hypertable is not given back by deleting its rows.
    PERFORM drop_chunks('rejects', older_than => now() - make_interval(days => longest));
    DELETE FROM replays WHERE at < now() - make_interval(days => longest);
    RETURN gone;
END $$;
REVOKE ALL ON FUNCTION forget_rejects(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_rejects(integer) TO bellwether_notify;

GRANT USAGE ON SEQUENCE rejects_id TO bellwether_ingest;
GRANT UPDATE (played_at, outcome) ON rejects TO bellwether_ingest;
GRANT SELECT, DELETE ON replays TO bellwether_ingest;
GRANT SELECT, INSERT ON replays TO bellwether_api;
GRANT SELECT ON replays, rejects_gone TO bellwether_reader;
