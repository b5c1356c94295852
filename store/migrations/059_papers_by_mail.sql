-- Documents go to the customer by e-mail: a message has the version of a document that it brings.

ALTER TABLE messages ADD COLUMN document_id uuid REFERENCES documents ON DELETE SET NULL;
CREATE INDEX messages_document ON messages (document_id, id) WHERE document_id IS NOT NULL;

-- notify prints what it sends.
CREATE POLICY sent_by_notify ON documents FOR SELECT TO bellwether_notify USING (true);
GRANT SELECT (id, kind, number, version, issued_at, content, salt) ON documents TO bellwether_notify;

-- Where a document was sent is in its ticket's story.
UPDATE personal_places SET what = 'to whom a ticket was given, and where its documents were sent'
WHERE table_name = 'ticket_events' AND column_name = 'detail';
