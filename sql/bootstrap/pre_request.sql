-- For PostgREST's db-pre-request, optional: says no to a request that names a tenant its user may not work in, which would
-- otherwise see nothing, and lets the function run that was there before.

-- No SET clause, and nobody else's rights: what the next function sets for the transaction, and the search_path it
-- finds, must be the request's. So every name in here says its schema, operators too. It writes nothing: GET is READ ONLY.
CREATE FUNCTION tenancy.pre_request() RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    next_name pg_catalog.text;
    parts pg_catalog.text[];
BEGIN
    IF tenancy.request_is_refused() THEN
        RAISE EXCEPTION 'permission denied: the request names a tenant that its user may not work in' USING ERRCODE = '42501',
            HINT = 'The setting tenancy.tenant_id, or else the header named in tenancy.tenant_header, must be the id of an open tenant of which he is an active member. SELECT * FROM tenancy.diagnose() says which it was, and why it is refused.';
    END IF;
    next_name := pg_catalog.current_setting('tenancy.next_pre_request');
    IF next_name OPERATOR(pg_catalog.=) '' THEN
        RETURN;
    END IF;
    parts := pg_catalog.parse_ident(next_name);
    -- Called from here again it would never end.
    IF parts OPERATOR(pg_catalog.=) ARRAY['tenancy'::pg_catalog.text, 'pre_request'::pg_catalog.text] THEN
        RETURN;
    END IF;
    IF pg_catalog.cardinality(parts) OPERATOR(pg_catalog.<>) 2 OR NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
         WHERE n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) parts[1] AND p.proname::pg_catalog.text OPERATOR(pg_catalog.=) parts[2]
           AND p.prokind OPERATOR(pg_catalog.=) 'f' AND p.pronargs OPERATOR(pg_catalog.=) p.pronargdefaults
    ) THEN
        RAISE EXCEPTION 'the function named in tenancy.next_pre_request does not exist' USING ERRCODE = '42883',
            HINT = 'Name it with its schema, as in public.check_request; it must be a function that can be called without arguments.';
    END IF;
    EXECUTE pg_catalog.format('SELECT %I.%I()', parts[1], parts[2]);
END
$$;
COMMENT ON FUNCTION tenancy.pre_request() IS 'For PostgREST''s db-pre-request: refuses a request whose setting or header names a tenant that its user may not work in, then calls the function named in tenancy.next_pre_request. Errors: 42501 refused; 42883 no such next function; and whatever that one raises';

-- What PostgREST finds in the database for this role: a value for this database goes before one for all.
CREATE FUNCTION tenancy.registered_pre_request(db_role name) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT nullif(btrim(substr(c.setting, length('pgrst.db_pre_request=') + 1)), '')
      FROM pg_db_role_setting s, unnest(s.setconfig) c (setting)
     WHERE s.setrole = (SELECT r.oid FROM pg_roles r WHERE r.rolname = registered_pre_request.db_role)
       AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
       AND starts_with(c.setting, 'pgrst.db_pre_request=')
     ORDER BY s.setdatabase DESC LIMIT 1;
    END;
COMMENT ON FUNCTION tenancy.registered_pre_request(name) IS 'Administrators only: the pre-request function registered for PostgREST by ALTER ROLE, NULL if there is none';

CREATE FUNCTION tenancy.register_pre_request(db_role name DEFAULT 'authenticator') RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    registered text;
    qualified text;
    lacking text;
    register text;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to register a pre-request function' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    IF db_role IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = db_role) THEN
        RAISE EXCEPTION 'database role "%" does not exist', coalesce(db_role, '') USING ERRCODE = '42704',
            HINT = 'Name the role that PostgREST connects as, usually authenticator.';
    END IF;
    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) INTO lacking
      FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
     WHERE m.member = (SELECT l.oid FROM pg_roles l WHERE l.rolname = db_role)
       AND NOT (has_schema_privilege(r.oid, 'tenancy', 'USAGE') AND has_function_privilege(r.oid, 'tenancy.pre_request()', 'EXECUTE'));
    IF lacking IS NOT NULL THEN
        RAISE NOTICE 'role(s) % may not call tenancy.pre_request()', lacking USING
            HINT = 'Their requests would be refused: make them application roles with tenancy.enable_role().';
    END IF;
    register := format('ALTER ROLE %I IN DATABASE %I SET pgrst.db_pre_request = %L', db_role, current_database(), 'tenancy.pre_request');
    registered := tenancy.registered_pre_request(db_role);
    IF replace(registered, '"', '') IN ('tenancy.pre_request', 'tenancy.pre_request()') THEN
        RETURN false;
    END IF;
    IF registered IS NOT NULL THEN
        -- Without its schema PostgREST finds it by a search_path that is not known here.
        SELECT min(format('%I.%I', n.nspname, p.proname)) INTO qualified
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE p.proname = (parse_ident(registered, false))[1] AND p.pronargs = p.pronargdefaults AND p.prokind = 'f'
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tenancy')
        HAVING count(*) = 1 AND cardinality(parse_ident(registered, false)) = 1;
        RAISE NOTICE 'role % has pre-request function % already, which stays', quote_ident(db_role), registered USING
            HINT = format(E'To have both, the new one first:\nALTER ROLE %1$I IN DATABASE %2$I SET tenancy.next_pre_request = %3$L;\n%4$s;\nNOTIFY pgrst, ''reload config'';',
                          db_role, current_database(), coalesce(qualified, registered), register);
        RETURN false;
    END IF;
    EXECUTE register;
    PERFORM pg_notify('pgrst', 'reload config');
    RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy.register_pre_request(name) IS 'Administrators only: has PostgREST, which connects as db_role, call tenancy.pre_request() before each request in this database, unless another function is registered: then a notice says how to chain it. A db-pre-request in PostgREST''s own configuration file is not seen from here, and this one goes before it. Returns whether anything changed. Errors: 42501 not an administrator, or he may not alter the role; 42704 no such role';
