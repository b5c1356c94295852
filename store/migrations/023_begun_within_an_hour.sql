-- When a stream was first heard within an hour: one that began in the middle of it owes nothing for what was before.

ALTER TABLE quality_hours ADD COLUMN first_at timestamptz;  -- NULL: counted before this was kept
