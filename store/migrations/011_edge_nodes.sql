-- Sparkplug's edge nodes and the devices behind them. What they declared is held in memory alone: after a start, ingest
-- asks each of these for its births.

CREATE TABLE edge_nodes (
    tenant text NOT NULL REFERENCES tenants,     -- Sparkplug's group
    node   text NOT NULL,                        -- as Sparkplug names it
    device text NOT NULL DEFAULT '',             -- likewise; empty: the node itself
    online boolean NOT NULL,
    PRIMARY KEY (tenant, node, device)
);

ALTER TABLE edge_nodes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON edge_nodes TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON edge_nodes TO bellwether_ingest, bellwether_notify, bellwether_reader
    USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE ON edge_nodes TO bellwether_ingest;
GRANT SELECT ON edge_nodes TO bellwether_reader;
