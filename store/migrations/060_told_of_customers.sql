-- Of a customer who is erased goes what the story of their tickets says of them too: where documents were sent, and who said
-- what to an appointment. See 056.
UPDATE customer_places
SET theirs = $$x.ticket_id = ANY($3)
       AND (x.kind IN ('file_added', 'file_removed') AND (x.who = ANY($4) OR $5) AND x.detail ->> 'name' <> $6
            OR x.kind IN ('appointment_confirmed', 'appointment_another_time') AND x.detail ->> 'name' <> $6
            OR x.kind = 'document_sent' AND x.detail ->> 'to' <> '')$$,
    becomes = $$x.detail || CASE x.kind WHEN 'document_sent' THEN '{"to": ""}' ELSE jsonb_build_object('name', $6) END$$,
    what = 'the name of a file, who answered for them, and where their documents were sent'
WHERE table_name = 'ticket_events' AND column_name = 'detail';
UPDATE customer_places
SET theirs = $$x.ticket_id = ANY($3) AND x.note <> ''
       AND (x.who = ANY($4) OR x.kind IN ('appointment_confirmed', 'appointment_another_time'))$$
WHERE table_name = 'ticket_events' AND column_name = 'note';
