-- Which clock policy a new device begins with is its tenant's to say. Devices that are there keep theirs.

ALTER TABLE tenants
    ADD COLUMN clock_policy text NOT NULL DEFAULT 'keep' CHECK (clock_policy IN ('keep', 'correct'));
ALTER TABLE devices ALTER clock_policy DROP DEFAULT;

CREATE FUNCTION begin_clock_policy() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    NEW.clock_policy := coalesce(NEW.clock_policy, (SELECT clock_policy FROM tenants WHERE id = NEW.tenant));
    RETURN NEW;
END $$;
CREATE TRIGGER begin_clock_policy BEFORE INSERT ON devices FOR EACH ROW EXECUTE FUNCTION begin_clock_policy();

REVOKE ALL ON FUNCTION begin_clock_policy() FROM PUBLIC;
GRANT UPDATE (clock_policy) ON tenants TO bellwether_api;
