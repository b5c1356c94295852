-- What verdicts teach: ingest reads them, and nothing else of tickets.

CREATE INDEX tickets_judged ON tickets (closed_at DESC) WHERE verdict IS NOT NULL;
GRANT SELECT (id, tenant, verdict, closed_at) ON tickets TO bellwether_ingest;
GRANT SELECT (ticket_id, alarm_id, tenant) ON ticket_alarms TO bellwether_ingest;
