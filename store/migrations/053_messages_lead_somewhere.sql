-- Messages lead to the page that they are about, a flood is told along the chain as one, and who sees to a corrective
-- action is told that it falls due.

-- Where a tenant's people and customers reach the pages, as its terms say; '': nobody has said.
CREATE FUNCTION page_address(of_tenant text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT terms -> 'follow_up' ->> 'page_address' FROM terms
                     WHERE tenant = of_tenant ORDER BY version DESC LIMIT 1), '')
$$;

ALTER TABLE messages ADD COLUMN page text NOT NULL DEFAULT '';  -- its path; '': that of its alarm, or of its ticket

-- A flood has a way of its own, once, without alarm or ticket. What belongs to a flood and is no worse than `level`, the
-- worst that was told of it so far, is told with it; what is worse goes its own way.
ALTER TABLE escalations
    ADD COLUMN flood_id uuid REFERENCES alarm_floods,
    ADD COLUMN level text CHECK (weight_of(level) > 0),
    DROP CONSTRAINT escalations_check,
    ADD CHECK (num_nonnulls(alarm_id, ticket_id) = 1 OR num_nonnulls(alarm_id, ticket_id) = 0 AND flood_id IS NOT NULL),
    ADD CHECK ((level IS NULL) = (num_nonnulls(alarm_id, ticket_id) = 1));
CREATE UNIQUE INDEX escalations_of_flood ON escalations (flood_id) WHERE alarm_id IS NULL AND ticket_id IS NULL;
CREATE INDEX escalations_in_flood ON escalations (flood_id) WHERE flood_id IS NOT NULL;
CREATE INDEX escalations_alarm_in_flood ON escalations (alarm_id, id) WHERE flood_id IS NOT NULL;
GRANT INSERT ON escalations TO bellwether_notify;

-- The due date of which they were told: another one is told of again.
ALTER TABLE corrective_actions ADD COLUMN owner_told_for timestamptz, ADD COLUMN managers_told_for timestamptz;
CREATE INDEX corrective_actions_due ON corrective_actions (due_at) WHERE state = 'open';
GRANT UPDATE (owner_told_for, managers_told_for) ON corrective_actions TO bellwether_notify;
