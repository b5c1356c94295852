-- An owner of equipment sees the customer that they belong to, its machines' files and its tickets, and no other's; one
-- who belongs to none sees what belongs to no customer. Whoever acts for nobody's customer sees all of the tenant.
--
-- `bellwether.customer` is a customer's id, or `none`; it is set beside `bellwether.tenant` for owners alone.

CREATE FUNCTION is_for_owner(customer uuid) RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT CASE coalesce(current_setting('bellwether.customer', true), '')
           WHEN '' THEN true
           WHEN 'none' THEN customer IS NULL
           ELSE customer::text IS NOT DISTINCT FROM current_setting('bellwether.customer', true)
           END
$$;

-- Asked of tickets, which name their machine alone. It sees every file: a hidden one is somebody's, not nobody's.
CREATE FUNCTION customer_of_device(wanted integer) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT customer_id FROM device_files WHERE device_id = wanted
$$;
REVOKE ALL ON FUNCTION customer_of_device(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION customer_of_device(integer) TO bellwether_api;

CREATE POLICY own_of_owner ON customers AS RESTRICTIVE TO bellwether_api USING (is_for_owner(id));
CREATE POLICY own_of_owner ON device_files AS RESTRICTIVE TO bellwether_api USING (is_for_owner(customer_id));
CREATE POLICY own_of_owner ON tickets AS RESTRICTIVE TO bellwether_api
    USING (CASE WHEN coalesce(current_setting('bellwether.customer', true), '') = '' THEN true
                ELSE is_for_owner(customer_of_device(device_id)) END);
