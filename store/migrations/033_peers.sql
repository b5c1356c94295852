-- Machines of one model beside each other, by six hours in which they ran: see detectors/peers.py.

CREATE TABLE peer_levels (
    stream_id integer NOT NULL REFERENCES streams,
    at        timestamptz NOT NULL,              -- the beginning of the six hours
    tenant    text NOT NULL,
    level     double precision NOT NULL,         -- the mean
    peers     integer NOT NULL,                  -- how many others there were then
    moved     double precision,                  -- from its place beside them, the median of three; NULL: not known yet
    allowed   double precision,                  -- how far that may go
    PRIMARY KEY (stream_id, at)
);

ALTER TABLE peer_levels ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON peer_levels TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON peer_levels TO bellwether_ingest, bellwether_notify, bellwether_reader
    USING (true) WITH CHECK (true);

GRANT SELECT ON peer_levels TO bellwether_api, bellwether_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON peer_levels TO bellwether_notify;
