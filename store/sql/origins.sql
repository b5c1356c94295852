-- name: keep_memory
-- What was remembered of machines before their alarms were raised.
INSERT INTO alarm_memories (tenant, hash, arrays) VALUES (%(tenant)s, %(hash)s, %(arrays)s)
RETURNING id

-- name: saved
-- When the memory of the watch was saved last.
SELECT saved_at FROM detector_state WHERE name = 'watch'

-- name: champions
-- The models that machines are watched by, where a training has made one.
SELECT device_id, id::text FROM models WHERE device_id = ANY (%(machines)s) AND state = 'champion' AND taken_at IS NOT NULL

-- name: digests
-- How many readings were scored in some spans, and SHA-256 of them: streams, times and values in order.
SELECT span.place, count(r.time),
       encode(sha256(coalesce(string_agg(int4send(span.stream) || timestamptz_send(r.time) || float8send(r.value), ''::bytea
                                         ORDER BY span.stream, r.time), '')), 'hex')
FROM unnest(%(place)s::int[], %(stream)s::int[], %(after)s::timestamptz[], %(until)s::timestamptz[])
    AS span (place, stream, after, until)
LEFT JOIN LATERAL (
    SELECT time, value FROM readings
    WHERE stream_id = span.stream AND time > span.after AND time <= span.until AND quality & %(unscored)s = 0
) r ON true
GROUP BY span.place

-- name: scored
-- The readings that were scored in some spans.
SELECT (extract(epoch FROM r.time) * 1000000)::bigint, span.stream, r.value, r.quality
FROM unnest(%(stream)s::int[], %(after)s::timestamptz[], %(until)s::timestamptz[]) AS span (stream, after, until)
JOIN readings r ON r.stream_id = span.stream AND r.time > span.after AND r.time <= span.until
WHERE r.quality & %(unscored)s = 0

-- name: kept
-- An alarm with its raise, what it rests on, and the copy of what was remembered before.
SELECT a.id, a.tenant, a.device_id, a.device, a.stream_id, a.point, a.rule, a.detector, a.raised_at,
       (a.evidence ->> 'since')::timestamptz AS quiet_since,
       (SELECT e.score FROM alarm_events e WHERE e.occurrence_id = a.id AND e.kind = 'raised') AS score, a.provenance,
       m.hash, m.arrays
FROM alarms a LEFT JOIN alarm_memories m ON m.id = a.memory_id
WHERE a.id = %(id)s

-- name: shown
-- What an alarm rests on, and whether the copy of what was learnt is there.
SELECT provenance, memory_id IS NOT NULL FROM alarms WHERE id = %(id)s

-- name: rule_versions
-- What a rule has been, the newest first.
SELECT rule FROM rules WHERE tenant = %(tenant)s AND id = %(rule)s ORDER BY version DESC

-- name: joined
-- Points of a machine that it has from some time on.
SELECT point FROM streams WHERE id = ANY (%(streams)s) AND created_at > %(since)s ORDER BY point

-- name: heard
-- What a machine said in a span, and how much of it came too late to be scored.
SELECT count(*), count(*) FILTER (WHERE r.quality & %(unscored)s <> 0)
FROM streams s JOIN readings r ON r.stream_id = s.id
WHERE s.device_id = %(machine)s AND r.time > %(after)s AND r.time <= %(until)s

-- name: forget
-- Copies whose readings are over by what their tenant keeps: there is nothing to replay them with.
DELETE FROM alarm_memories m USING (
    SELECT o.id FROM retention t
    CROSS JOIN LATERAL (
        SELECT id FROM alarm_memories
        WHERE tenant = t.tenant AND raised_at < now() - make_interval(days => t.keep_days)
        ORDER BY raised_at LIMIT %(most)s
    ) o
    WHERE t.class = 'raw'
    LIMIT %(most)s
) over WHERE m.id = over.id
