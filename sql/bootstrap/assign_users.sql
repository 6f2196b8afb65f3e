-- Sign-ups: whoever has a confirmed address that a tenant takes in becomes a member of it. Nothing here may stop the
-- host's write: what fails is logged, kept in sync_failures, and made good by assign_users().

-- Logs and keeps a failure, come what may.
CREATE FUNCTION tenancy.survive_failure(what text, user_id uuid, sqlstate text, message text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE LOG 'pg_tenancy: % failed for user %: % %', what, user_id, sqlstate, message;
    PERFORM tenancy.record_failure(what, user_id, sqlstate, message);
EXCEPTION WHEN OTHERS THEN
    RAISE LOG 'pg_tenancy: a failure could not be recorded: % %', SQLSTATE, SQLERRM;
END
$$;
COMMENT ON FUNCTION tenancy.survive_failure(text, uuid, text, text) IS 'Administrators only: logs and records what failed beside a write that had to go through; raises nothing';

-- The order is documented: an exact domain before any pattern; then the tenant that was created first.
CREATE FUNCTION tenancy.tenant_for_email(email text) RETURNS uuid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen uuid;
    domain text := lower(split_part(left(email, 400), '@', 2) COLLATE "C");
BEGIN
    SELECT t.id INTO chosen FROM tenancy.tenants t
     WHERE t.status = 'active' AND t.email_domains <> '{}'
       AND t.email_domains @> ARRAY[domain]
       AND tenancy.email_matches(email, t.email_domains, NULL)
     ORDER BY t.created_at, t.id LIMIT 1;
    IF chosen IS NULL THEN
        SELECT t.id INTO chosen FROM tenancy.tenants t
         WHERE t.status = 'active' AND t.email_pattern IS NOT NULL AND tenancy.email_matches(email, '{}', t.email_pattern)
         ORDER BY t.created_at, t.id LIMIT 1;
    END IF;
    RETURN chosen;
END
$$;
COMMENT ON FUNCTION tenancy.tenant_for_email(text) IS 'Administrators only: the active tenant that takes in an address: by exact domain before pattern, then the earliest created, then by id; NULL if none does';

CREATE FUNCTION tenancy.assign_by_email(user_id uuid, email text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen uuid;
    roles text[];
    missing text;
BEGIN
    -- The library may not be loaded yet, and the setting not known.
    IF NOT coalesce(nullif(current_setting('tenancy.auto_assignment', true), ''), 'on')::boolean THEN
        RETURN false;
    END IF;
    chosen := tenancy.tenant_for_email(email);
    IF chosen IS NULL OR user_id IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO tenancy.members (tenant_id, user_id) VALUES (chosen, assign_by_email.user_id)
    ON CONFLICT ON CONSTRAINT members_pkey DO NOTHING;
    IF NOT FOUND THEN
        RETURN false; -- as he is: suspended, or with the roles somebody left him
    END IF;
    SELECT t.default_roles INTO roles FROM tenancy.tenants t WHERE t.id = chosen;
    INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
    SELECT chosen, assign_by_email.user_id, r.id FROM tenancy.roles r
     WHERE r.name = ANY (roles) AND r.scope_id IN (tenancy.nil(), chosen);
    missing := tenancy.missing_role(chosen, roles);
    IF missing IS NOT NULL THEN
        PERFORM tenancy.survive_failure('default role', user_id, '42704',
                                        format('default role "%s" of tenant %s does not exist', missing, chosen));
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy.assign_by_email(uuid, text) IS 'Administrators only: makes the user a member, with the default roles, of the tenant that takes in his address. Returns whether he became one';

-- Arguments of the trigger: the columns of the user's id and address. A lock that somebody holds for long must not
-- hold up sign-ups.
CREATE FUNCTION tenancy.assign_user() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    user_id uuid;
    email text;
BEGIN
    PERFORM tenancy.check_users_columns();
    EXECUTE format('SELECT ($1).%I, ($1).%I', TG_ARGV[0], TG_ARGV[1]) INTO user_id, email USING NEW;
    PERFORM tenancy.assign_by_email(user_id, email);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM tenancy.survive_failure('assignment', user_id, SQLSTATE, SQLERRM);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.assign_user() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.assign_user() IS 'Trigger function: a user with a confirmed address becomes a member of the tenant that takes it in; never fails';

-- What counts as confirmed, of the columns of OLD or NEW.
CREATE FUNCTION tenancy.is_confirmed_sql(attached tenancy.users_table, of_row text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT format(CASE WHEN coalesce(nullif(t.typbasetype, 0), t.oid) = 'boolean'::regtype
                       THEN '%s.%I IS TRUE' ELSE '%s.%I IS NOT NULL' END,
                  of_row, attached.email_confirmed_column)
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = attached.relation AND a.attname = attached.email_confirmed_column;
    END;
COMMENT ON FUNCTION tenancy.is_confirmed_sql(tenancy.users_table, text) IS 'Administrators only: the condition that says whether a row of the users table has a confirmed address';

CREATE FUNCTION tenancy.assign_users(user_id uuid DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    attached tenancy.users_table;
    wanted uuid[];
    lines text[];
    line text;
    found_id uuid;
    assigned bigint := 0;
BEGIN
    IF NOT tenancy.caller_is_administrator() THEN
        RAISE EXCEPTION 'permission denied to assign users' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    SELECT t.* INTO attached FROM tenancy.users_table t JOIN pg_class c ON c.oid = t.relation;
    IF attached.email_column IS NULL OR attached.email_confirmed_column IS NULL THEN
        RAISE EXCEPTION 'no users table with addresses and their confirmation is attached' USING ERRCODE = '55000',
            HINT = 'Name the columns in tenancy.attach_users().';
    END IF;
    PERFORM tenancy.hold_users_table();
    wanted := CASE WHEN user_id IS NOT NULL THEN ARRAY[user_id]
                   ELSE ARRAY(SELECT DISTINCT f.user_id FROM tenancy.sync_failures f
                               WHERE f.what = 'assignment' AND f.user_id IS NOT NULL ORDER BY f.user_id) END;
    FOR n IN 1 .. cardinality(wanted) BY 1000 LOOP
        -- As the table's owner: what his indexes have as constants is computed while Postgres plans.
        lines := tenancy.read_as_owner(attached.relation, format(
            'SELECT concat(u.%1$I, u.%2$I::text) FROM %3$s u WHERE %4$s AND u.%1$I = ANY (%5$L::uuid[]) ORDER BY u.%1$I',
            attached.id_column, attached.email_column, attached.relation, tenancy.is_confirmed_sql(attached, 'u'), wanted[n:n + 999]));
        FOREACH line IN ARRAY lines LOOP
            found_id := left(line, 36)::uuid;
            DELETE FROM tenancy.sync_failures f WHERE f.user_id = found_id AND f.what = 'assignment';
            IF tenancy.assign_by_email(found_id, nullif(substr(line, 37), '')) THEN
                assigned := assigned + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN assigned;
END
$$;
REVOKE ALL ON FUNCTION tenancy.assign_users(uuid) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.assign_users(uuid) IS 'For administrators: assigns a user by his confirmed e-mail address, or all whose assignment failed. Returns how many became members. Errors: 42501 not an administrator; 55000 no users table with these columns';
