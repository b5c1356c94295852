-- Of ten thousand open tickets the most urgent, of a tenant and of one machine, are read and not sorted out: a page of
-- tickets took 70 ms of sorting, the fleet's 30. The order is written as `overview.sql` writes it, or it is not used.
CREATE INDEX tickets_by_urgency ON tickets
    (tenant, array_position(ARRAY['urgent', 'high', 'medium', 'low'], priority), opened_at DESC, id DESC)
    WHERE state NOT IN ('closed', 'cancelled');
CREATE INDEX tickets_of_device_by_urgency ON tickets
    (device_id, array_position(ARRAY['urgent', 'high', 'medium', 'low'], priority), opened_at)
    WHERE state NOT IN ('closed', 'cancelled');
