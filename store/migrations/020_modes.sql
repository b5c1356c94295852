-- What a machine is doing, as its tell-tales say (detectors/modes.py): off, idle, running, part load, full load,
-- changing, unknown; empty where nothing tells. Written by ingest when it changes.

ALTER TABLE devices ADD COLUMN mode text NOT NULL DEFAULT '', ADD COLUMN mode_since timestamptz;
