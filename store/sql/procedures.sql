-- name: procedures
-- A tenant's own procedures as they are now, in order; those that were taken back are asked for alone.
SELECT kind, fault, model, version, name, skills, steps, reason, changed_at, changed_by
FROM (SELECT DISTINCT ON (kind, fault, model) * FROM procedures ORDER BY kind, fault, model, version DESC) latest
WHERE (jsonb_array_length(steps) = 0) = %(taken_back)s
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(model)s::text IS NULL OR model IN ('', %(model)s))
  AND (%(after)s::text IS NULL OR kind || ':' || fault || ':' || model > %(after)s)
ORDER BY kind || ':' || fault || ':' || model
LIMIT %(limit)s

-- name: versions
-- What one procedure has been, newest first.
SELECT kind, fault, model, version, name, skills, steps, reason, changed_at, changed_by
FROM procedures
WHERE kind = %(kind)s AND fault = %(fault)s AND model = %(model)s AND (%(before)s::int IS NULL OR version < %(before)s)
ORDER BY version DESC
LIMIT %(limit)s

-- name: add_version
-- The next version, unless somebody has written one meanwhile.
INSERT INTO procedures (tenant, kind, fault, model, version, name, skills, steps, reason, changed_at, changed_by)
SELECT %(tenant)s, %(kind)s, %(fault)s, %(model)s, %(seen)s + 1, %(name)s, %(skills)s, %(steps)s, %(reason)s, %(now)s, %(who)s
WHERE %(seen)s = (SELECT coalesce(max(version), 0) FROM procedures
                  WHERE tenant = %(tenant)s AND kind = %(kind)s AND fault = %(fault)s AND model = %(model)s)
ON CONFLICT DO NOTHING
RETURNING version

-- name: count_procedures
-- How many a tenant has by now, those that were taken back too.
SELECT count(*) FROM (SELECT DISTINCT kind, fault, model FROM procedures) each

-- name: best
-- The one for these faults, the most particular fault first and one for the model before one for any.
SELECT kind, fault, model, version, name, skills, steps, reason, changed_at, changed_by
FROM (SELECT DISTINCT ON (fault, model) * FROM procedures
      WHERE kind = %(kind)s AND fault = ANY(%(faults)s) AND model IN ('', %(model)s)
      ORDER BY fault, model, version DESC) latest
WHERE jsonb_array_length(steps) > 0
ORDER BY array_position(%(faults)s::text[], fault), model = ''
LIMIT 1

-- name: models
-- The models of the machines that there are.
SELECT DISTINCT model FROM devices WHERE model <> '' ORDER BY model LIMIT %(limit)s

-- name: unknown_pictures
-- Which of these are not kept.
SELECT wanted FROM unnest(%(wanted)s::text[]) AS wanted
WHERE NOT EXISTS (SELECT FROM procedure_pictures p WHERE p.sha256 = wanted)
LIMIT 1
