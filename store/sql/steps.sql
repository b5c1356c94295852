-- name: works
-- What a ticket was given, in order.
SELECT id, turn, kind, procedure, version, source, name, steps, at, who
FROM ticket_procedures
WHERE ticket_id = %(id)s
ORDER BY id

-- name: marks
-- How each step of a ticket stands: what was said of it last.
SELECT DISTINCT ON (procedure_id, step) procedure_id, step, state, value, new_serial, old_serial, note, at, who
FROM ticket_step_marks
WHERE ticket_id = %(id)s
ORDER BY procedure_id, step, id DESC

-- name: give
-- Steps of a ticket from now on.
INSERT INTO ticket_procedures (ticket_id, tenant, turn, kind, procedure, version, source, name, steps, at, who)
VALUES (%(id)s, %(tenant)s, %(turn)s, %(kind)s, %(procedure)s, %(version)s, %(source)s, %(name)s, %(steps)s, %(now)s, %(who)s)

-- name: mark
-- What is said of a step from now on.
INSERT INTO ticket_step_marks (ticket_id, tenant, procedure_id, step, state, value, new_serial, old_serial, note, at, who)
VALUES (%(id)s, %(tenant)s, %(work)s, %(step)s, %(state)s, %(value)s, %(new_serial)s, %(old_serial)s, %(note)s, %(now)s, %(who)s)

-- name: known
-- What the steps of a ticket follow from: the model of its machine, the last symptom that was reported, and what its
-- diagnosis names.
SELECT coalesce(d.model, ''),
       coalesce((SELECT r.symptom FROM ticket_reports r WHERE r.ticket_id = t.id AND r.symptom <> ''
                 ORDER BY r.at DESC LIMIT 1), ''),
       coalesce((SELECT g.suspects FROM diagnoses g WHERE g.ticket_id = t.id), '[]')
FROM tickets t JOIN devices d ON d.id = t.device_id
WHERE t.id = %(id)s

-- name: plan_of
-- The plan that a ticket came from, and its own steps.
SELECT p.id, p.name, p.procedure, p.steps
FROM plan_occurrences o JOIN plans p ON p.id = o.plan_id
WHERE o.ticket_id = %(id)s AND o.outcome = 'opened'

-- name: replacements
-- Key parts that went into a machine, newest first: those that the ledger knows, and those that were noted at a step.
SELECT at, ticket_id, title, part, new_serial, old_serial, who
FROM (SELECT m.at, t.id AS ticket_id, t.title, p.number AS part, m.serial AS new_serial,
             coalesce(m.replaces, '') AS old_serial, m.who
      FROM tickets t JOIN part_moves m ON m.ticket_id = t.id JOIN parts p ON p.id = m.part_id
      WHERE t.device = %(device)s AND m.kind = 'issue' AND m.serial IS NOT NULL
        AND NOT EXISTS (SELECT FROM part_moves back WHERE back.ticket_id = t.id AND back.kind = 'unused'
                        AND back.serial = m.serial AND back.id > m.id)
      UNION ALL
      SELECT k.at, t.id, t.title, w.steps -> (k.step - 1) ->> 'replaces', k.new_serial, k.old_serial, k.who
      FROM tickets t
      JOIN (SELECT DISTINCT ON (s.procedure_id, s.step) s.*
            FROM ticket_step_marks s JOIN tickets of ON of.id = s.ticket_id AND of.device = %(device)s
            ORDER BY s.procedure_id, s.step, s.id DESC) k ON k.ticket_id = t.id
      JOIN ticket_procedures w ON w.id = k.procedure_id
      WHERE k.new_serial <> ''
        AND NOT EXISTS (SELECT FROM part_moves m
                        WHERE m.ticket_id = t.id AND m.kind = 'issue' AND m.serial = k.new_serial)) replaced
ORDER BY at DESC, new_serial
LIMIT %(limit)s
