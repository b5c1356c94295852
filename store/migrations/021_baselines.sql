-- A block of vibration of each axis that somebody who knows the machine took for healthy: later ones are compared with it.
-- A copy, so that it outlives the blocks.

CREATE TABLE vibration_baselines (
    device_id    integer NOT NULL REFERENCES devices,
    tenant       text NOT NULL,
    axis         text NOT NULL,
    waveform_id  uuid NOT NULL,
    time         timestamptz NOT NULL,           -- of the first sample
    rate_hz      double precision NOT NULL,
    shaft_rpm    double precision,               -- NULL: the device did not say
    unit         text NOT NULL,
    scale        double precision NOT NULL,      -- value = sample * scale + value_offset, in `unit`
    value_offset double precision NOT NULL,
    sample_type  text NOT NULL CHECK (sample_type IN ('i2', 'f4')),
    packing      smallint NOT NULL CHECK (packing BETWEEN 0 AND 3),
    samples      bytea NOT NULL,
    set_by       text NOT NULL,
    set_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, axis)
);
ALTER TABLE vibration_baselines ALTER samples SET STORAGE EXTERNAL;

ALTER TABLE vibration_baselines ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON vibration_baselines TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON vibration_baselines TO bellwether_notify, bellwether_reader USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON vibration_baselines TO bellwether_api;
GRANT SELECT ON vibration_baselines TO bellwether_notify, bellwether_reader;
