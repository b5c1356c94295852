-- How long machines have, by the hour in which it was said: see prognosis/outlook.py. Days count from the end of `hour`.

CREATE TABLE prognoses (
    device_id integer NOT NULL REFERENCES devices,
    hour      timestamptz NOT NULL,
    tenant    text NOT NULL,
    abstains  text NOT NULL,                     -- why there is no remaining life; empty where there is
    days      double precision[],                -- until it has failed with 5, 10, 50, 90, 95 %; a NULL in it: in ten years not
    p_fail_30 double precision CHECK (p_fail_30 BETWEEN 0 AND 1),  -- NULL: nothing is known
    by_wear   double precision,                  -- the part of it that its wear tells of
    by_age    double precision,                  -- the part that the lives of its like tell of
    worst_point text NOT NULL,                   -- what pulls its health down
    fails_at  double precision,                  -- the health at which its like fail
    failures  integer NOT NULL,                  -- on so many failures by wear of its kind that rests
    band      double precision[],                -- its health as it goes on, rows of days from now and 5, 50, 95 %
    PRIMARY KEY (device_id, hour)
);

ALTER TABLE prognoses ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON prognoses TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON prognoses TO bellwether_ingest, bellwether_notify, bellwether_reader
    USING (true) WITH CHECK (true);

GRANT SELECT ON prognoses TO bellwether_api, bellwether_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON prognoses TO bellwether_notify;
