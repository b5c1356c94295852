-- Tickets that wait for parts are looked through every five seconds: few of many.
CREATE INDEX tickets_waiting_for_parts ON tickets (id) WHERE state = 'awaiting_parts';
