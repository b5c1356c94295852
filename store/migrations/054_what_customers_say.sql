-- What a customer says to an appointment by telephone, who answered a quote, and when sent-in goods left.

-- `way` is of tickets/customers_word.py; of an answer by the ticket's code `page`, and then nobody was told it.
ALTER TABLE appointments
    ADD COLUMN said_by  text NOT NULL DEFAULT '' CHECK (length(said_by) <= 200),
    ADD COLUMN way      text CHECK (way ~ '^[a-z_]{1,20}$'),
    ADD COLUMN taken_by text NOT NULL DEFAULT '';

ALTER TABLE ticket_papers DROP CONSTRAINT ticket_papers_paper_check;
ALTER TABLE ticket_papers ADD CONSTRAINT ticket_papers_paper_check
    CHECK (paper IN ('diagnosis', 'quote', 'answer', 'appointment', 'test', 'check', 'inspection', 'signature', 'sent_back'));

-- As in 034, with who answered, and with whom the goods left.
DROP FUNCTION ticket_of_code(text);
CREATE FUNCTION ticket_of_code(wanted text)
RETURNS TABLE (code text, device text, title text, state text, priority text, opened_at timestamptz,
               updated_at timestamptz, closed_at timestamptz, steps jsonb, quote jsonb, answer jsonb, appointment jsonb,
               sent_back jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.code, t.device, t.title, t.state, t.priority, t.opened_at, t.updated_at, t.closed_at,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('state', e.to_state, 'at', e.at) ORDER BY e.id), '[]')
            FROM ticket_events e WHERE e.ticket_id = t.id AND e.to_state IS NOT NULL),
           q.body,
           (SELECT jsonb_build_object('accepted', a.body -> 'accepted', 'at', a.at, 'name', a.body -> 'name')
            FROM ticket_papers a
            WHERE a.ticket_id = t.id AND a.paper = 'answer' AND a.id > q.id ORDER BY a.id DESC LIMIT 1),
           (SELECT p.body FROM ticket_papers p
            WHERE p.ticket_id = t.id AND p.turn = t.turn AND p.paper = 'appointment' ORDER BY p.id DESC LIMIT 1),
           (SELECT s.body FROM ticket_papers s
            WHERE s.ticket_id = t.id AND s.turn = t.turn AND s.paper = 'sent_back' ORDER BY s.id DESC LIMIT 1)
    FROM tickets t
    LEFT JOIN LATERAL (SELECT id, body FROM ticket_papers
                       WHERE ticket_id = t.id AND turn = t.turn AND paper = 'quote' ORDER BY id DESC LIMIT 1) q ON true
    WHERE t.code = wanted
$$;
REVOKE ALL ON FUNCTION ticket_of_code(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ticket_of_code(text) TO bellwether_api;

-- Acts, and where people's data stand: see 026.
DROP TRIGGER audited ON appointments;
DROP TRIGGER audited_changes ON appointments;
SELECT audit_table('appointments', 'appointment', '{paper_id}', '{ticket_id,reminded_at,answer,way}', '{note,said_by,taken_by}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('appointments', 'said_by', 'paper_id', 'text', 'who answered for a customer', 'somebody has to come when it suits', 'with the ticket'),
    ('appointments', 'taken_by', 'paper_id', 'login', 'who was told of an answer', 'accountability', 'with the ticket');
