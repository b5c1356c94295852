-- name: known
-- Edge nodes and the devices behind them; a node sorts before its devices.
SELECT tenant, node, device, online FROM edge_nodes ORDER BY tenant, node, device

-- name: note
-- Who came online and who went, as heard last.
INSERT INTO edge_nodes (tenant, node, device, online)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bool[])
ON CONFLICT (tenant, node, device) DO UPDATE SET online = excluded.online
