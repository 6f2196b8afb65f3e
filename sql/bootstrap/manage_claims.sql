-- Claims of the application's own in the users' app metadata. They write the host's table as our owner, for an
-- administrator who may not, such as Supabase's service_role; so they ask who called, whatever functions lie between.

-- Whether the caller may, where the metadata is, and whether the user exists.
CREATE FUNCTION tenancy.claims_of(user_id uuid, attached OUT tenancy.users_table, metadata OUT jsonb)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    lines text[];
BEGIN
    IF NOT tenancy.caller_is_administrator() THEN
        RAISE EXCEPTION 'permission denied for users'' claims' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    IF user_id IS NULL THEN
        RAISE EXCEPTION 'user_id must be a user''s id' USING ERRCODE = '22023';
    END IF;
    SELECT t.* INTO attached FROM tenancy.users_table t JOIN pg_class c ON c.oid = t.relation;
    IF attached.app_metadata_column IS NULL THEN
        RAISE EXCEPTION 'there is no column to keep claims in' USING ERRCODE = '55000',
            HINT = 'Attach a users table that has one with tenancy.attach_users().';
    END IF;
    PERFORM tenancy.hold_users_table();
    -- As the table's owner: what his indexes have as constants is computed while Postgres plans.
    lines := tenancy.read_as_owner(attached.relation, format('SELECT u.%I::text FROM %s u WHERE u.%I = %L',
        attached.app_metadata_column, attached.relation, attached.id_column, user_id));
    IF cardinality(lines) = 0 THEN
        RAISE EXCEPTION 'user does not exist' USING ERRCODE = '42704', HINT = 'He is not in the attached users table.';
    END IF;
    metadata := coalesce(nullif(lines[1]::jsonb, 'null'), '{}');
END
$$;
COMMENT ON FUNCTION tenancy.claims_of(uuid) IS 'Administrators only: the attached users table and a user''s app metadata. Errors: 42501 the caller does not administer; 22023 NULL; 55000 no column for it; 42704 no such user';

CREATE FUNCTION tenancy.check_claim(claim text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    instead text := CASE claim WHEN 'tenant_id' THEN 'tenancy.set_active_tenant()' WHEN 'perms' THEN 'tenancy.grant_role()'
                               WHEN 'tenants' THEN 'tenancy.add_member()' WHEN 'tenant_access' THEN 'tenancy.grant_operator()' END;
BEGIN
    IF claim IS NULL OR claim = '' THEN
        RAISE EXCEPTION 'claim must not be null or empty' USING ERRCODE = '22023';
    ELSIF instead IS NOT NULL THEN
        RAISE EXCEPTION 'permission denied: claim "%" is kept by pg_tenancy', claim USING ERRCODE = '42501',
            DETAIL = 'It follows from the tables, and what is written to it is put back.',
            HINT = format('Change what it follows from, with %s.', instead);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_claim(text) IS 'Administrators only: 22023 for NULL or the empty text; 42501 for a claim that is a projection of the tables';

-- One statement reads and writes, so that what the auth server writes to other keys meanwhile is not lost.
CREATE FUNCTION tenancy.write_claim(user_id uuid, claim text, value jsonb) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    found record;
BEGIN
    SELECT (c.attached).*, c.metadata INTO found FROM tenancy.claims_of(user_id) c;
    PERFORM tenancy.check_claim(claim);
    IF jsonb_typeof(found.metadata) <> 'object' THEN
        RAISE EXCEPTION 'the user''s app metadata is not a JSON object' USING ERRCODE = '55000';
    END IF;
    RETURN tenancy.write_metadata(found.app_metadata_column, ARRAY[claim], ARRAY[user_id],
               ARRAY[CASE WHEN value IS NULL THEN '{}' ELSE jsonb_build_object(claim, value)::text END]) > 0;
END
$$;
COMMENT ON FUNCTION tenancy.write_claim(uuid, text, jsonb) IS 'Administrators only: puts a value into a user''s app metadata, or with NULL takes the claim out';

CREATE FUNCTION tenancy.get_claims(user_id uuid) RETURNS jsonb
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT c.metadata FROM tenancy.claims_of(get_claims.user_id) c;
    END;
REVOKE ALL ON FUNCTION tenancy.get_claims(uuid) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.get_claims(uuid) IS 'For administrators: a user''s app metadata, which his next token will carry. Errors: 42501 not an administrator; 42704 no such user; 55000 no users table attached, or none with app metadata; 22023 NULL';

CREATE FUNCTION tenancy.get_claim(user_id uuid, claim text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    metadata jsonb := tenancy.get_claims(user_id);
BEGIN
    IF claim IS NULL OR claim = '' THEN
        RAISE EXCEPTION 'claim must not be null or empty' USING ERRCODE = '22023';
    END IF;
    RETURN metadata -> claim;
END
$$;
REVOKE ALL ON FUNCTION tenancy.get_claim(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.get_claim(uuid, text) IS 'For administrators: one key of a user''s app metadata, NULL if he has it not. Errors as of get_claims; 22023 NULL or empty';

CREATE FUNCTION tenancy.set_claim(user_id uuid, claim text, value jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.claims_of(user_id);
    IF value IS NULL THEN
        RAISE EXCEPTION 'value must not be null' USING ERRCODE = '22023',
            HINT = 'Pass the JSON value ''null'', or take the claim out with tenancy.delete_claim().';
    END IF;
    RETURN tenancy.write_claim(user_id, claim, value);
END
$$;
REVOKE ALL ON FUNCTION tenancy.set_claim(uuid, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.set_claim(uuid, text, jsonb) IS 'For administrators: sets one key of a user''s app metadata. Returns whether it changed. Errors as of get_claims; 42501 also for claims that follow from the tables; 22023 NULL';

CREATE FUNCTION tenancy.delete_claim(user_id uuid, claim text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN tenancy.write_claim(user_id, claim, NULL);
END
$$;
REVOKE ALL ON FUNCTION tenancy.delete_claim(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.delete_claim(uuid, text) IS 'For administrators: takes one key out of a user''s app metadata. Returns whether he had it. Errors as of set_claim';
