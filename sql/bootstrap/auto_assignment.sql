-- Which tenant takes in whom by e-mail address: what the columns of tenants may hold, and setting them. What happens
-- at sign-up stands in assign_users.sql.

COMMENT ON FUNCTION tenancy.email_pattern_problem(text) IS 'Why a text is no pattern for addresses; NULL if it is one';

CREATE FUNCTION tenancy.is_email_domain(domain text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_is_email_domain';
COMMENT ON FUNCTION tenancy.is_email_domain(text) IS 'Whether a text is a domain that addresses can be compared with: two labels or more, in ASCII';

CREATE FUNCTION tenancy.are_email_domains(domains text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_are_email_domains';
COMMENT ON FUNCTION tenancy.are_email_domains(text[]) IS 'Internal: whether each element is such a domain';

CREATE FUNCTION tenancy.is_email_pattern(pattern text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME', 'tenancy_is_email_pattern';
COMMENT ON FUNCTION tenancy.is_email_pattern(text) IS 'Whether a text is a regular expression for addresses: of the Rust crate regex, ASCII only, at most 1000 bytes, small when compiled';

CREATE FUNCTION tenancy.email_matches(email text, domains text[], pattern text) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'tenancy_email_matches';
COMMENT ON FUNCTION tenancy.email_matches(text, text[], text) IS 'Whether an address is of one of the domains, exactly, or fits the pattern as a whole, case aside; false for what is no address';

ALTER TABLE tenancy.tenants
    ADD CONSTRAINT tenants_email_domains_check
        CHECK (tenancy.are_email_domains(email_domains) AND lower(email_domains::text COLLATE "C") = email_domains::text
               AND cardinality(email_domains) <= 100),
    ADD CONSTRAINT tenants_email_pattern_check CHECK (tenancy.is_email_pattern(email_pattern)),
    ADD CONSTRAINT tenants_default_roles_check
        CHECK (array_position(default_roles, NULL) IS NULL AND cardinality(default_roles) <= 100);
-- One sign-up looks at the tenants that take somebody in, and not at all of them.
CREATE INDEX tenants_email_domains_idx ON tenancy.tenants USING gin (email_domains) WHERE email_domains <> '{}';
CREATE INDEX tenants_email_pattern_idx ON tenancy.tenants (created_at, id) WHERE email_pattern IS NOT NULL;

CREATE FUNCTION tenancy.missing_role(tenant uuid, roles text[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT n.name FROM unnest(missing_role.roles) WITH ORDINALITY n (name, ord)
     WHERE NOT EXISTS (SELECT FROM tenancy.roles r
                        WHERE r.name = n.name AND r.scope_id IN (tenancy.nil(), missing_role.tenant))
     ORDER BY n.ord LIMIT 1;
    END;
COMMENT ON FUNCTION tenancy.missing_role(uuid, text[]) IS 'Internal: the first name that is no role usable in the tenant, as far as the caller sees roles';

CREATE FUNCTION tenancy.set_auto_assignment(tenant uuid, email_domains text[] DEFAULT '{}', email_pattern text DEFAULT NULL,
                                            default_roles text[] DEFAULT '{}') RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    was record;
    missing text;
    domain text;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        IF tenancy.operator_access() IS DISTINCT FROM 'write' THEN
            PERFORM tenancy.refuse_assignment();
        ELSIF default_roles <> '{}' THEN
            PERFORM tenancy.refuse_default_roles();
        END IF;
    END IF;
    SELECT t.email_domains, t.email_pattern, t.default_roles INTO was
      FROM tenancy.tenants t WHERE t.id = tenant FOR NO KEY UPDATE; -- sign-ups go on meanwhile
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant does not exist' USING ERRCODE = '42704',
            HINT = 'SELECT id, slug FROM tenancy.tenants lists them.';
    END IF;
    IF email_domains IS NULL OR default_roles IS NULL OR array_position(default_roles, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'email_domains and default_roles must not be null' USING ERRCODE = '22023',
            HINT = 'Pass ''{}'' for none.';
    END IF;
    IF cardinality(email_domains) > 100 OR cardinality(default_roles) > 100 THEN
        RAISE EXCEPTION 'too many e-mail domains or default roles' USING ERRCODE = '22023',
            DETAIL = 'A tenant has at most 100 of each.';
    END IF;
    FOREACH domain IN ARRAY email_domains LOOP
        IF tenancy.is_email_domain(domain) IS NOT TRUE THEN
            RAISE EXCEPTION 'invalid e-mail domain' USING ERRCODE = '22023',
                DETAIL = format('%s is not a domain such as example.com.', coalesce(quote_literal(left(domain, 100)), 'NULL')),
                HINT = 'Write it without @, in ASCII (xn--... for other scripts). Domains below it are domains of their own.';
        END IF;
    END LOOP;
    IF NOT tenancy.is_email_pattern(email_pattern) THEN
        RAISE EXCEPTION 'invalid e-mail pattern' USING ERRCODE = '22023',
            DETAIL = tenancy.email_pattern_problem(email_pattern),
            HINT = 'A pattern covers the whole address, as in [^@]+@(.+\.)?example\.com.';
    END IF;
    missing := tenancy.missing_role(tenant, default_roles);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'role "%" does not exist', missing USING ERRCODE = '42704',
            HINT = 'SELECT name FROM tenancy.roles lists the roles you may use.';
    END IF;
    -- Domains in one order and once, so that setting the same again changes nothing.
    SELECT coalesce(array_agg(DISTINCT lower(d COLLATE "C")), '{}') INTO email_domains FROM unnest(email_domains) d;
    IF (was.email_domains, was.email_pattern, was.default_roles)
       IS NOT DISTINCT FROM (email_domains, email_pattern, default_roles) THEN
        RETURN false;
    END IF;
    UPDATE tenancy.tenants AS t SET email_domains = set_auto_assignment.email_domains,
           email_pattern = set_auto_assignment.email_pattern, default_roles = set_auto_assignment.default_roles
     WHERE t.id = tenant;
    RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy.set_auto_assignment(uuid, text[], text, text[]) IS 'Sets whom a tenant takes in at sign-up, by confirmed e-mail address, and with which roles; replaces what was set. Returns whether anything changed. Errors: 42501 neither administrator nor write operator; 42704 no such tenant or role; 22023 bad domain or pattern';
