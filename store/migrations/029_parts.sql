-- Parts: what there is, where it lies, and every move of it.
--
-- A ledger in double entry: each move takes from one place and gives to another. `part_stock` is its sum and `part_items`
-- says where each serial number is; both are kept by a trigger in the statement that moves, and nobody of ours may write
-- them otherwise. Only the outside may owe: that nothing else falls below zero is a constraint, not a look beforehand.

ALTER TABLE users DROP CONSTRAINT users_role_check,
    ADD CONSTRAINT users_role_check
    CHECK (role IN ('owner', 'engineer', 'dispatcher', 'depot', 'manager', 'administrator'));
ALTER TABLE api_keys DROP CONSTRAINT api_keys_role_check,
    ADD CONSTRAINT api_keys_role_check
    CHECK (role IN ('owner', 'engineer', 'dispatcher', 'depot', 'manager', 'administrator', 'service'));

-- What a tenant promises and allows: a part that a ticket asks for is there after so many hours; a part that nobody comes
-- for is set free after so many days. A tenant without a row has 48 hours and 14 days.
CREATE TABLE part_policies (
    tenant     text PRIMARY KEY REFERENCES tenants,
    arrive_h   integer NOT NULL CHECK (arrive_h BETWEEN 1 AND 2160),
    held_days  integer NOT NULL CHECK (held_days BETWEEN 1 AND 365),
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);

CREATE TABLE parts (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text NOT NULL REFERENCES tenants,
    number     text NOT NULL CHECK (number ~ '^[A-Za-z0-9_.-]{1,64}$'),
    name       text NOT NULL,
    unit       text NOT NULL DEFAULT 'piece',        -- what one of it is; only whole ones are counted
    value      numeric(14, 2) NOT NULL DEFAULT 0 CHECK (value >= 0),
    currency   text NOT NULL DEFAULT 'EUR' CHECK (currency ~ '^[A-Z]{3}$'),
    fits       text[] NOT NULL DEFAULT '{}',         -- models of machines; empty: any
    shelf_days integer CHECK (shelf_days BETWEEN 1 AND 36500),  -- from receipt; NULL: it keeps
    serialised boolean NOT NULL DEFAULT false,       -- a key part: each by its serial number
    low_at     bigint NOT NULL DEFAULT 0 CHECK (low_at >= 0),   -- fewer than this that are free are few
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    UNIQUE (tenant, number),
    UNIQUE (id, tenant)
);

-- Depots and vans, and what is beyond them. Those that may owe are the outside: what comes from a supplier was never ours.
CREATE TABLE part_places (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text NOT NULL REFERENCES tenants,
    kind       text NOT NULL CHECK (kind IN ('central', 'regional', 'city', 'van', 'transit', 'repair', 'scrap', 'recycling',
                                             'supplier', 'customer', 'difference')),
    name       text NOT NULL DEFAULT '',             -- of a repair and a transit: its ticket, its transfer
    region     text NOT NULL DEFAULT '',
    engineer   text NOT NULL DEFAULT '',             -- whose van it is: a login
    outside    boolean GENERATED ALWAYS AS (kind IN ('supplier', 'customer', 'difference')) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at  timestamptz,
    UNIQUE (tenant, kind, name),
    UNIQUE (id, tenant),
    UNIQUE (id, outside),
    CHECK ((kind = 'van') = (engineer <> ''))
);
CREATE UNIQUE INDEX part_places_depots ON part_places (tenant, name) WHERE kind IN ('central', 'regional', 'city', 'van');
CREATE UNIQUE INDEX part_places_vans ON part_places (tenant, engineer) WHERE kind = 'van' AND closed_at IS NULL;

-- What came together. A part that has none is all of one lot, which has no name and does not expire.
CREATE TABLE part_lots (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text NOT NULL,
    part_id    integer NOT NULL,
    lot        text NOT NULL,
    expires_on date,                                 -- its last good day, in UTC
    UNIQUE (part_id, lot),
    UNIQUE (id, part_id, tenant),
    FOREIGN KEY (part_id, tenant) REFERENCES parts (id, tenant)
);

CREATE TABLE part_transfers (
    id          uuid PRIMARY KEY,
    tenant      text NOT NULL REFERENCES tenants,
    transit_id  integer NOT NULL UNIQUE,             -- where what is on its way is
    from_id     integer NOT NULL,
    to_id       integer NOT NULL,
    sent_at     timestamptz NOT NULL,
    sent_by     text NOT NULL,
    note        text NOT NULL DEFAULT '',
    received_at timestamptz,
    received_by text,
    FOREIGN KEY (transit_id, tenant) REFERENCES part_places (id, tenant),
    FOREIGN KEY (from_id, tenant) REFERENCES part_places (id, tenant),
    FOREIGN KEY (to_id, tenant) REFERENCES part_places (id, tenant),
    CHECK (from_id <> to_id)
);
CREATE INDEX part_transfers_tenant ON part_transfers (tenant, sent_at DESC, id DESC);

CREATE TABLE part_moves (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text NOT NULL REFERENCES tenants,
    at          timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    kind        text NOT NULL,                       -- see tickets/parts/moves.py
    part_id     integer NOT NULL,
    lot_id      integer NOT NULL,
    from_id     integer NOT NULL,
    to_id       integer NOT NULL,
    quantity    bigint NOT NULL CHECK (quantity > 0),
    serial      text CHECK (length(serial) BETWEEN 1 AND 128),
    replaces    text,                                -- the serial number that came out of the machine for it
    ticket_id   uuid REFERENCES tickets,
    who         text NOT NULL,
    note        text NOT NULL DEFAULT '',
    CHECK (from_id <> to_id),
    CHECK (serial IS NULL OR quantity = 1),
    FOREIGN KEY (lot_id, part_id, tenant) REFERENCES part_lots (id, part_id, tenant),
    FOREIGN KEY (from_id, tenant) REFERENCES part_places (id, tenant),
    FOREIGN KEY (to_id, tenant) REFERENCES part_places (id, tenant)
);
CREATE INDEX part_moves_tenant ON part_moves (tenant, at DESC, id DESC);
CREATE INDEX part_moves_part ON part_moves (part_id, at DESC, id DESC);
CREATE INDEX part_moves_serial ON part_moves (part_id, serial) WHERE serial IS NOT NULL;
CREATE INDEX part_moves_ticket ON part_moves (ticket_id) WHERE ticket_id IS NOT NULL;

CREATE TABLE part_stock (
    place_id integer NOT NULL,
    lot_id   integer NOT NULL,
    part_id  integer NOT NULL,
    tenant   text NOT NULL,
    outside  boolean NOT NULL,
    quantity bigint NOT NULL,
    PRIMARY KEY (place_id, lot_id),
    CONSTRAINT part_stock_not_below_zero CHECK (quantity >= 0 OR outside),
    FOREIGN KEY (place_id, outside) REFERENCES part_places (id, outside),
    FOREIGN KEY (lot_id, part_id, tenant) REFERENCES part_lots (id, part_id, tenant)
);
CREATE INDEX part_stock_part ON part_stock (part_id, place_id);

CREATE TABLE part_items (
    part_id  integer NOT NULL,
    serial   text NOT NULL,
    lot_id   integer NOT NULL,
    tenant   text NOT NULL,
    place_id integer NOT NULL,
    PRIMARY KEY (part_id, serial),
    FOREIGN KEY (lot_id, part_id, tenant) REFERENCES part_lots (id, part_id, tenant),
    FOREIGN KEY (place_id, tenant) REFERENCES part_places (id, tenant)
);
CREATE INDEX part_items_place ON part_items (place_id, part_id);

-- The sum of the ledger, brought up to date by each statement that adds to it. Rows are locked in one order, whatever is
-- moved; those that are not there yet are put in empty, since what a row would be is held to the constraint even where it
-- then turns out to be there already.
CREATE FUNCTION keep_stock() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    m part_moves;
BEGIN
    IF EXISTS (SELECT FROM moved JOIN parts p ON p.id = moved.part_id WHERE p.serialised <> (moved.serial IS NOT NULL)) THEN
        RAISE check_violation USING CONSTRAINT = 'part_moves_serials',
            MESSAGE = 'a key part moves by its serial number, and no other does';
    END IF;
    IF EXISTS (SELECT FROM moved JOIN part_places p ON p.id = moved.to_id JOIN part_lots l ON l.id = moved.lot_id
               WHERE p.kind = 'repair' AND l.expires_on < (moved.at AT TIME ZONE 'UTC')::date) THEN
        RAISE check_violation USING CONSTRAINT = 'part_moves_expired', MESSAGE = 'what has expired enters no repair';
    END IF;
    INSERT INTO part_stock (place_id, lot_id, part_id, tenant, outside, quantity)
    SELECT DISTINCT p.id, moved.lot_id, moved.part_id, moved.tenant, p.outside, 0
    FROM moved JOIN part_places p ON p.id IN (moved.from_id, moved.to_id)
    ORDER BY 2, 1
    ON CONFLICT DO NOTHING;
    PERFORM FROM part_stock s
    WHERE (s.place_id, s.lot_id) IN (SELECT from_id, lot_id FROM moved UNION SELECT to_id, lot_id FROM moved)
    ORDER BY s.lot_id, s.place_id
    FOR UPDATE;
    UPDATE part_stock s SET quantity = s.quantity + came.quantity
    FROM (SELECT place_id, lot_id, sum(quantity) AS quantity
          FROM (SELECT to_id AS place_id, lot_id, quantity FROM moved
                UNION ALL SELECT from_id, lot_id, -quantity FROM moved) each_way
          GROUP BY place_id, lot_id) came
    WHERE s.place_id = came.place_id AND s.lot_id = came.lot_id;
    FOR m IN SELECT * FROM moved WHERE serial IS NOT NULL ORDER BY part_id, serial, id LOOP
        UPDATE part_items SET place_id = m.to_id, lot_id = m.lot_id
        WHERE part_id = m.part_id AND serial = m.serial AND place_id = m.from_id
          AND (lot_id = m.lot_id OR EXISTS (SELECT FROM part_places WHERE id = m.from_id AND outside));
        IF NOT FOUND THEN
            INSERT INTO part_items (part_id, serial, lot_id, tenant, place_id)
            SELECT m.part_id, m.serial, m.lot_id, m.tenant, m.to_id FROM part_places WHERE id = m.from_id AND outside
            ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
                RAISE check_violation USING CONSTRAINT = 'part_items_elsewhere',
                    MESSAGE = format('serial number %s is not where it would be taken from', m.serial);
            END IF;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_stock AFTER INSERT ON part_moves REFERENCING NEW TABLE AS moved
    FOR EACH STATEMENT EXECUTE FUNCTION keep_stock();

-- What was moved stays moved; a mistake is put right by a move back. Who it was may be taken out of it: that is a person's.
CREATE FUNCTION part_moves_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE insufficient_privilege USING MESSAGE = 'the ledger of parts is only added to';
END $$;
CREATE TRIGGER part_moves_stay BEFORE DELETE
    OR UPDATE OF id, tenant, at, recorded_at, kind, part_id, lot_id, from_id, to_id, quantity, serial, replaces, ticket_id
    ON part_moves FOR EACH ROW EXECUTE FUNCTION part_moves_stay();

-- What tickets have asked for. `held` is kept back for them at `place_id`; `waiting` is not to be had yet. A reservation
-- moves no part: what is free is what is there, less what is held.
CREATE TABLE part_reservations (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant      text NOT NULL REFERENCES tenants,
    ticket_id   uuid NOT NULL REFERENCES tickets,
    part_id     integer NOT NULL,
    wanted_id   integer,                             -- the one place that it is to come from; NULL: any
    place_id    integer,
    quantity    bigint NOT NULL CHECK (quantity > 0),
    state       text NOT NULL CHECK (state IN ('waiting', 'held', 'issued', 'released', 'expired')),
    made_at     timestamptz NOT NULL,
    made_by     text NOT NULL,
    promised_at timestamptz NOT NULL,                -- it arrives by then
    expires_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    CHECK ((state = 'held') <= (place_id IS NOT NULL)),
    CHECK ((state IN ('waiting', 'held')) = (ended_at IS NULL)),
    FOREIGN KEY (part_id, tenant) REFERENCES parts (id, tenant),
    FOREIGN KEY (place_id, tenant) REFERENCES part_places (id, tenant),
    FOREIGN KEY (wanted_id, tenant) REFERENCES part_places (id, tenant)
);
CREATE INDEX part_reservations_standing ON part_reservations (part_id) WHERE ended_at IS NULL;
CREATE INDEX part_reservations_expiring ON part_reservations (expires_at) WHERE ended_at IS NULL;
CREATE INDEX part_reservations_ticket ON part_reservations (ticket_id);

-- A ticket that has ended keeps nothing back, whoever ended it.
CREATE FUNCTION release_parts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE part_reservations SET state = 'released', ended_at = NEW.updated_at
    WHERE ticket_id = NEW.id AND ended_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER release_parts AFTER UPDATE OF state ON tickets FOR EACH ROW
    WHEN (NEW.state IN ('closed', 'cancelled')) EXECUTE FUNCTION release_parts();

REVOKE ALL ON FUNCTION keep_stock(), part_moves_stay(), release_parts() FROM PUBLIC;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['parts', 'part_places', 'part_lots', 'part_transfers', 'part_moves', 'part_stock', 'part_items',
                                'part_reservations', 'part_policies'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_of_api ON %I TO bellwether_api
                        USING (tenant = current_setting(''bellwether.tenant'', true))
                        WITH CHECK (tenant = current_setting(''bellwether.tenant'', true))', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO bellwether_notify, bellwether_reader
                        USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT ON parts, part_places, part_lots, part_transfers, part_moves, part_stock, part_items, part_reservations,
                part_policies TO bellwether_api, bellwether_notify, bellwether_reader;
GRANT INSERT ON parts, part_places, part_lots, part_transfers, part_moves, part_reservations TO bellwether_api;
GRANT UPDATE (name, unit, value, currency, fits, shelf_days, low_at) ON parts TO bellwether_api;
GRANT UPDATE (region, engineer, closed_at) ON part_places TO bellwether_api;
GRANT UPDATE (received_at, received_by) ON part_transfers TO bellwether_api;
GRANT UPDATE (place_id, state, ended_at) ON part_reservations TO bellwether_api, bellwether_notify;
GRANT INSERT, UPDATE ON part_policies TO bellwether_api;

SELECT audit_table('parts', 'part', '{number}', '{name,unit,value,currency,fits,shelf_days,serialised,low_at}');
SELECT audit_table('part_places', 'depot', '{kind,name}', '{region,closed_at}', '{engineer}');
SELECT audit_table('part_transfers', 'part_transfer', '{id}', '{from_id,to_id,sent_at,received_at}', '{note}');
SELECT audit_table('part_moves', 'part_move', '{id}', '{kind,part_id,lot_id,from_id,to_id,quantity,serial,replaces,ticket_id}');
SELECT audit_table('part_reservations', 'part_reservation', '{id}', '{ticket_id,part_id,quantity,state,place_id}');
SELECT audit_table('part_policies', 'part_policy', '{tenant}', '{arrive_h,held_days}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('parts', 'created_by', 'id', 'login', 'who made a part known', 'accountability', 'with the part'),
    ('part_places', 'engineer', 'id', 'login', 'whose van it is', 'parts are found where they are', 'with the van'),
    ('part_transfers', 'sent_by', 'id', 'login', 'who sent parts', 'accountability', 'for good'),
    ('part_transfers', 'received_by', 'id', 'login', 'who received parts', 'accountability', 'for good'),
    ('part_transfers', 'note', 'id', 'text', 'mentions in notes', 'the history of the parts', 'for good'),
    ('part_moves', 'who', 'id', 'login', 'who moved parts', 'accountability', 'for good'),
    ('part_moves', 'note', 'id', 'text', 'mentions in notes', 'the history of the parts', 'for good'),
    ('part_reservations', 'made_by', 'id', 'login', 'who asked for parts', 'accountability', 'with the ticket'),
    ('part_policies', 'changed_by', 'tenant', 'login', 'who said what is promised of parts', 'accountability',
     'until it is changed');
