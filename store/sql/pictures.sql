-- name: add
-- A picture, once.
INSERT INTO procedure_pictures (tenant, sha256, kind, bytes, content, added_at, added_by)
VALUES (%(tenant)s, %(sha256)s, %(kind)s, %(bytes)s, %(content)s, %(now)s, %(who)s)
ON CONFLICT DO NOTHING

-- name: picture
-- What is known of a picture.
SELECT sha256, kind, bytes, added_at, added_by FROM procedure_pictures WHERE sha256 = %(sha256)s

-- name: content
-- The picture itself.
SELECT kind, content FROM procedure_pictures WHERE sha256 = %(sha256)s
