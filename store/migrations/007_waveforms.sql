-- Raw vibration in blocks: thousands of samples a second for a moment, never as rows.
--
-- A block is packed before it gets here (store/waveforms.py): what the server would do to it, by TOAST or in the
-- columnstore, makes it no smaller and costs time. One layout serves both editions.

CREATE TABLE waveforms (
    id           uuid NOT NULL,                  -- from the content; its first 48 bits are `time` in ms
    time         timestamptz NOT NULL,           -- of the first sample
    tenant       text NOT NULL,
    device       text NOT NULL,
    axis         text NOT NULL,
    rate_hz      double precision NOT NULL,
    shaft_rpm    double precision,               -- NULL: the device did not say
    unit         text NOT NULL,
    scale        double precision NOT NULL,      -- value = sample * scale + value_offset, in `unit`
    value_offset double precision NOT NULL,
    sample_type  text NOT NULL CHECK (sample_type IN ('i2', 'f4')),  -- little-endian
    sample_count integer NOT NULL,
    quality      smallint NOT NULL DEFAULT 0,
    contested    boolean NOT NULL DEFAULT false, -- another block of this axis and time was there before
    received_at  timestamptz NOT NULL,
    packing      smallint NOT NULL CHECK (packing BETWEEN 0 AND 3),
    samples      bytea NOT NULL,
    PRIMARY KEY (id, time)
);
ALTER TABLE waveforms ALTER samples SET STORAGE EXTERNAL;
SELECT create_hypertable('waveforms', by_range('time', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX waveforms_device ON waveforms (tenant, device, time DESC, id DESC);

CREATE VIEW tenant_waveforms WITH (security_barrier) AS
    SELECT id, time, tenant, device, axis, rate_hz, shaft_rpm, unit, scale, value_offset, sample_type, sample_count, quality,
           contested, received_at, packing, samples
    FROM waveforms
    WHERE tenant = current_setting('bellwether.tenant', true);

GRANT SELECT, INSERT ON waveforms TO bellwether_ingest;
GRANT SELECT ON tenant_waveforms TO bellwether_api;
GRANT SELECT ON waveforms TO bellwether_reader;
