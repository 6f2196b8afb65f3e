-- Attaching the host's users table: foreign keys to it, and triggers on it. The triggers are dumped with the host's
-- table; the foreign keys, being constraints of the extension's own tables, are not, so what they do on deletion is
-- done by a trigger as well, and a second call puts them back.

CREATE FUNCTION tenancy.record_failure(what text, user_id uuid, sqlstate text, message text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    -- One a user, or each login of one whose projection fails would leave another.
    DELETE FROM tenancy.sync_failures f WHERE f.what = record_failure.what AND f.user_id = record_failure.user_id;
    INSERT INTO tenancy.sync_failures (what, user_id, sqlstate, message)
    VALUES (record_failure.what, record_failure.user_id, record_failure.sqlstate, record_failure.message);
    END;
COMMENT ON FUNCTION tenancy.record_failure(text, uuid, text, text) IS 'Administrators only: keeps what failed beside a write that had to go through';

-- The one list of what stands on the users table: a name that sorts last, so that our trigger has the last word.
CREATE FUNCTION tenancy.users_triggers(attached tenancy.users_table) RETURNS TABLE (name text, definition text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT '~pg_tenancy_cleanup',
           format('AFTER DELETE ON %s REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION tenancy.forget_users(%L)',
                  attached.relation, attached.id_column)
    UNION ALL
    -- By WHEN, not by UPDATE OF, for another trigger before it may have written the column.
    SELECT v.name, format('BEFORE %s ON %s FOR EACH ROW %s EXECUTE FUNCTION tenancy.keep_claims(%L, %L)', v.event, attached.relation,
                          format(v.condition, attached.app_metadata_column), attached.id_column, attached.app_metadata_column)
      FROM (VALUES ('~pg_tenancy_claims_insert', 'INSERT', ''),
                   ('~pg_tenancy_claims', 'UPDATE', 'WHEN (NEW.%1$I IS DISTINCT FROM OLD.%1$I)')) v (name, event, condition)
     WHERE attached.app_metadata_column IS NOT NULL
    UNION ALL
    SELECT '~pg_tenancy_assign_' || v.event,
           format('AFTER %s ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION tenancy.assign_user(%L, %L)', v.event, attached.relation,
                  CASE WHEN v.event = 'update' THEN format('NOT (%s) AND ', tenancy.is_confirmed_sql(attached, 'OLD')) ELSE '' END
                  || tenancy.is_confirmed_sql(attached, 'NEW'),
                  attached.id_column, attached.email_column)
      FROM (VALUES ('insert'), ('update')) v (event)
     WHERE attached.email_column IS NOT NULL AND attached.email_confirmed_column IS NOT NULL
    UNION ALL
    SELECT '~pg_tenancy_create_profile',
           format('AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION tenancy.create_profile(%L, %L, %L)', attached.relation,
                  attached.id_column, coalesce(attached.user_metadata_column, ''), coalesce(attached.email_column, ''))
     WHERE attached.profiles
    UNION ALL
    SELECT '~pg_tenancy_keep_profile',
           format('BEFORE UPDATE OF %I ON %s FOR EACH ROW EXECUTE FUNCTION tenancy.keep_profile(%L, %L)',
                  attached.user_metadata_column, attached.relation, attached.id_column, attached.user_metadata_column)
     WHERE attached.profiles AND attached.user_metadata_column IS NOT NULL;
    END;
COMMENT ON FUNCTION tenancy.users_triggers(tenancy.users_table) IS 'Administrators only: the triggers that an attached users table has, each as the end of a CREATE TRIGGER';

CREATE FUNCTION tenancy.forget_users() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    ids uuid[];
BEGIN
    BEGIN
        PERFORM tenancy.check_users_columns();
    EXCEPTION WHEN OTHERS THEN
        -- The foreign keys do it, if they are there.
        PERFORM tenancy.survive_failure('cleanup', NULL, SQLSTATE, SQLERRM);
        RETURN NULL;
    END;
    EXECUTE format('SELECT array_agg(%I) FROM gone', TG_ARGV[0]) INTO ids;
    DELETE FROM tenancy.members m WHERE m.user_id = ANY (ids);
    DELETE FROM tenancy.operators o WHERE o.user_id = ANY (ids);
    DELETE FROM tenancy.user_profiles p WHERE p.user_id = ANY (ids);
    DELETE FROM tenancy.sync_failures f WHERE f.user_id = ANY (ids);
    DELETE FROM tenancy.subjects s WHERE s.user_id = ANY (ids);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.forget_users() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.forget_users() IS 'Trigger function: what a deleted user had goes with him';

-- Of exactly these types, or the extension's citext: no domain and no type of the table's owner, whose checks and casts
-- would run with our rights.
CREATE FUNCTION tenancy.column_type_fits(type oid, types regtype[]) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN type = ANY (types)
        OR 'text'::regtype = ANY (types)
           AND EXISTS (SELECT FROM pg_type t
                         JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
                         JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
                        WHERE t.oid = column_type_fits.type AND t.typname = 'citext' AND e.extname = 'citext');
COMMENT ON FUNCTION tenancy.column_type_fits(oid, regtype[]) IS 'Administrators only: whether a column of this type may be read with our rights';

-- Before anything of a user's row is read with our rights: its owner may have given a column another type since it was
-- attached. Whoever asks has the table locked.
CREATE FUNCTION tenancy.check_users_columns() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong text;
BEGIN
    SELECT v.name INTO wrong
      FROM tenancy.users_table t
     CROSS JOIN LATERAL (VALUES (t.id_column, '{uuid}'::regtype[]), (t.email_column, '{text,varchar,bpchar}'),
                           (t.email_confirmed_column, '{timestamptz,timestamp,boolean}'), (t.app_metadata_column, '{jsonb}'),
                           (t.user_metadata_column, '{jsonb}')) v (name, types)
      LEFT JOIN pg_attribute a ON a.attrelid = t.relation AND a.attname = v.name AND a.attnum > 0 AND NOT a.attisdropped
     WHERE v.name IS NOT NULL AND tenancy.column_type_fits(a.atttypid, v.types) IS NOT TRUE
     LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'column "%" of the users table is not what it was', wrong USING ERRCODE = '55000',
            DETAIL = 'It was renamed or dropped, or has another type.', HINT = 'Call tenancy.attach_users() again.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_users_columns() IS 'Administrators only: 55000 if a column of the attached users table is gone or has a type that must not be read with our rights';

CREATE FUNCTION tenancy.hold_users_table() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass := (SELECT t.relation FROM tenancy.users_table t JOIN pg_class c ON c.oid = t.relation);
BEGIN
    IF relation IS NOT NULL THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', relation);
        PERFORM tenancy.check_users_columns();
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.hold_users_table() IS 'Administrators only: keeps the users table as it is until the transaction ends; 55000 if it is not as it was attached';

-- The name of an optional column that is there and fit for its purpose, else NULL with a notice of what is off.
CREATE FUNCTION tenancy.optional_column(relation regclass, column_name name, types regtype[], purpose text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_type regtype;
BEGIN
    SELECT a.atttypid::regtype INTO found_type FROM pg_attribute a
     WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped;
    IF found_type IS NULL THEN
        RAISE NOTICE '%', CASE WHEN column_name IS NULL THEN format('no column given: %s is off', purpose)
                               ELSE format('table %s has no column "%s": %s is off', relation, column_name, purpose) END;
        RETURN NULL;
    END IF;
    IF NOT tenancy.column_type_fits(found_type, types) THEN
        RAISE EXCEPTION 'column "%" of table % is of type %', column_name, relation, found_type USING ERRCODE = '0A000',
            HINT = format('For %s it must be one of: %s.', purpose, array_to_string(types, ', '));
    END IF;
    RETURN column_name;
END
$$;
COMMENT ON FUNCTION tenancy.optional_column(regclass, name, regtype[], text) IS 'Administrators only: the column''s name if the table has it; NULL and a notice if not; 0A000 if its type does not fit';

CREATE FUNCTION tenancy.check_users_table(users regclass, id_column name) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to attach a users table' USING ERRCODE = '42501',
            HINT = 'Only administrators may.';
    END IF;
    IF users IS NULL OR id_column IS NULL THEN
        RAISE EXCEPTION 'users table and id_column must be given' USING ERRCODE = '22023',
            DETAIL = CASE WHEN users IS NULL AND to_regclass('auth.users') IS NULL THEN 'There is no table auth.users, which is taken where none is given.' ELSE '' END,
            HINT = 'Name the table, as in tenancy.attach_users(''public.users'').';
    END IF;
    SELECT c.relkind, c.relpersistence, c.relnamespace INTO item FROM pg_class c WHERE c.oid = users;
    IF item.relkind NOT IN ('r', 'p') OR item.relpersistence = 't' OR item.relnamespace = 'tenancy'::regnamespace THEN
        RAISE EXCEPTION 'cannot attach % as users table', users USING ERRCODE = '0A000',
            DETAIL = 'It must be an ordinary or partitioned table of the host application.';
    END IF;
    SELECT a.attnum, a.atttypid::regtype AS type INTO item FROM pg_attribute a
     WHERE a.attrelid = users AND a.attname = id_column AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of table % does not exist', id_column, users USING ERRCODE = '22023',
            HINT = 'Name the column of the users'' ids with id_column => ''...''.';
    ELSIF item.type <> 'uuid'::regtype THEN
        RAISE EXCEPTION 'column "%" of table % is of type %, not uuid', id_column, users, item.type USING ERRCODE = '0A000',
            HINT = 'Users have uuid ids for now.';
    ELSIF NOT EXISTS (SELECT FROM pg_index i
                       WHERE i.indrelid = users AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
                         AND i.indnkeyatts = 1 AND i.indkey[0] = item.attnum) THEN
        RAISE EXCEPTION 'column "%" of table % is not unique', id_column, users USING ERRCODE = '55000',
            HINT = format('ALTER TABLE %s ADD PRIMARY KEY (%I);', users, id_column);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_users_table(regclass, name) IS 'Administrators only: 42501 for anybody else; 22023, 0A000 or 55000 for a table that cannot be the users table';

-- Foreign keys from our tables to the users table: whose ids they hold, and what a deletion does.
CREATE FUNCTION tenancy.users_references() RETURNS TABLE (relation regclass, name text)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT v.relation, v.name FROM (VALUES ('tenancy.members'::regclass, 'members_user_id_fkey'),
                                           ('tenancy.operators', 'operators_user_id_fkey'),
                                           ('tenancy.user_profiles', 'user_profiles_user_id_fkey')) v (relation, name);
    END;
COMMENT ON FUNCTION tenancy.users_references() IS 'Administrators only: the foreign keys that attach_users adds';

-- Once the library owns the setting, an unset request.jwt.claims reads '' and no longer NULL: what casts it to jsonb raises.
CREATE FUNCTION tenancy.careless_readers() RETURNS TABLE (reader text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT r.reader FROM (
        SELECT 'function ' || p.oid::regprocedure, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)
          FROM pg_proc p
         WHERE p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'tenancy'::regnamespace)
        UNION ALL
        SELECT format('policy %I on %s', o.polname, o.polrelid::regclass),
               concat(pg_get_expr(o.polqual, o.polrelid), ' ', pg_get_expr(o.polwithcheck, o.polrelid))
          FROM pg_policy o
    ) r (reader, source)
     WHERE r.source ~ 'request\.jwt\.claims' AND r.source !~* 'nullif'
     ORDER BY r.reader COLLATE "C";
    END;
COMMENT ON FUNCTION tenancy.careless_readers() IS 'Administrators only: functions and policies that read request.jwt.claims and have no nullif, so that they may fail where it is empty';

CREATE FUNCTION tenancy.count_orphans(relation regclass, users regclass, id_column text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids uuid[];
    last uuid := '00000000-0000-0000-0000-000000000000';
    missing bigint;
    orphans bigint := 0;
BEGIN
    IF tenancy.trusts_owners(users) THEN
        EXECUTE format('SELECT count(*) FROM %s r WHERE NOT EXISTS (SELECT FROM %s u WHERE u.%I = r.user_id)', relation, users, id_column) INTO orphans;
        RETURN orphans;
    END IF;
    LOOP
        EXECUTE format('SELECT array_agg(v.user_id ORDER BY v.user_id) FROM (SELECT DISTINCT r.user_id FROM %s r WHERE r.user_id > $1 ORDER BY 1 LIMIT 10000) v', relation)
           INTO ids USING last;
        EXIT WHEN ids IS NULL;
        last := ids[cardinality(ids)];
        ids := ARRAY(SELECT unnest(ids) EXCEPT SELECT f::uuid FROM unnest(tenancy.read_parts(users,
            format('SELECT u.%I::text FROM ', id_column), format(' u WHERE u.%I = ANY (%L::uuid[])', id_column, ids))) f);
        EXECUTE format('SELECT count(*) FROM %s r WHERE r.user_id = ANY ($1)', relation) INTO missing USING ids;
        orphans := orphans + missing;
    END LOOP;
    RETURN orphans;
END
$$;
COMMENT ON FUNCTION tenancy.count_orphans(regclass, regclass, text) IS 'Administrators only: how many rows of one of our tables name users that are not in the users table, which is read with its owner''s rights';

CREATE FUNCTION tenancy.attach_users(users regclass DEFAULT to_regclass('auth.users'), id_column name DEFAULT 'id', email_column name DEFAULT 'email',
        email_confirmed_column name DEFAULT 'email_confirmed_at', app_metadata_column name DEFAULT 'raw_app_meta_data',
        user_metadata_column name DEFAULT 'raw_user_meta_data') RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET constraint_exclusion = off AS $$
DECLARE
    wanted tenancy.users_table;
    known tenancy.users_table;
    item record;
    orphans bigint;
    changed boolean := false;
BEGIN
    PERFORM tenancy.check_users_table(users, id_column);
    -- Nobody gives a column another type meanwhile.
    EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', users);
    PERFORM tenancy.check_users_table(users, id_column);
    SELECT t.* INTO known FROM tenancy.users_table t;
    IF known.relation <> users THEN
        RAISE EXCEPTION 'table % is attached already', known.relation USING ERRCODE = '55000',
            HINT = 'SELECT tenancy.detach_users(); then attach the other.';
    END IF;
    wanted := (true, users, id_column,
        tenancy.optional_column(users, email_column, '{text,varchar,bpchar}', 'assigning users by their e-mail address'),
        tenancy.optional_column(users, email_confirmed_column, '{timestamptz,timestamp,boolean}', 'assigning users when their address is confirmed'),
        tenancy.optional_column(users, app_metadata_column, '{jsonb}', 'the projection of claims'),
        tenancy.optional_column(users, user_metadata_column, '{jsonb}', 'copying profiles'),
        coalesce(known.profiles, false), coalesce(known.attached_at, now()));
    FOR item IN SELECT * FROM tenancy.users_references() LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_constraint c
                               WHERE c.conrelid = item.relation AND c.conname = item.name AND c.confrelid = users
                                 AND c.confkey = ARRAY(SELECT a.attnum FROM pg_attribute a
                                                        WHERE a.attrelid = users AND a.attname = id_column));
        IF EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = item.relation AND c.conname = item.name) THEN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.relation, item.name);
        END IF;
        -- This locks both tables. Postgres would check it by a query with our rights; where that runs code of the other's owner our
        -- own has to be enough.
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (user_id) REFERENCES %s (%I) ON DELETE CASCADE NOT VALID',
                       item.relation, item.name, users, id_column);
        orphans := tenancy.count_orphans(item.relation, users, id_column);
        IF orphans > 0 THEN
            RAISE EXCEPTION '% row(s) of % name users that are not in %', orphans, item.relation, users USING ERRCODE = '55000',
                HINT = format('SELECT user_id FROM %s EXCEPT SELECT %I FROM %s; lists them. Delete the rows or add the users.',
                              item.relation, id_column, users);
        END IF;
        IF tenancy.trusts_owners(users) OR NOT EXISTS (SELECT FROM tenancy.computed_by_others(users)) THEN
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', item.relation, item.name);
        END IF;
        changed := true;
    END LOOP;
    FOR item IN SELECT coalesce(t.name, o.tgname) AS name, t.definition, o.tgname IS NOT NULL AS there
                  FROM tenancy.users_triggers(wanted) t
                  FULL JOIN (SELECT g.tgname, g.tgenabled FROM pg_trigger g
                              WHERE g.tgrelid = users AND NOT g.tgisinternal AND g.tgname LIKE '~pg\_tenancy\_%') o ON o.tgname = t.name
                 WHERE known IS DISTINCT FROM wanted OR o.tgname IS NULL OR o.tgenabled = 'D' LOOP
        IF item.there THEN
            EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', item.name, users);
        END IF;
        IF item.definition IS NOT NULL THEN
            EXECUTE format('CREATE TRIGGER %I %s', item.name, item.definition);
        END IF;
        changed := true;
    END LOOP;
    IF known IS DISTINCT FROM wanted THEN
        INSERT INTO tenancy.users_table SELECT wanted.*
        ON CONFLICT (singleton) DO UPDATE SET id_column = excluded.id_column, email_column = excluded.email_column,
            email_confirmed_column = excluded.email_confirmed_column, app_metadata_column = excluded.app_metadata_column,
            user_metadata_column = excluded.user_metadata_column;
        changed := true;
    END IF;
    IF wanted.app_metadata_column IS NOT NULL AND known.app_metadata_column IS DISTINCT FROM wanted.app_metadata_column
       AND EXISTS (SELECT FROM tenancy.members) THEN
        RAISE NOTICE 'members there are already have no claims in column "%" yet', wanted.app_metadata_column USING
            HINT = 'SELECT tenancy.sync_claims(); projects them.';
    END IF;
    IF changed THEN
        FOR item IN SELECT string_agg(r.reader, ', ') AS readers FROM tenancy.careless_readers() r HAVING count(*) > 0 LOOP
            RAISE NOTICE 'request.jwt.claims may be read carelessly by %', item.readers USING
                DETAIL = 'Where no claims are set the setting is now an empty string, not NULL, and no JSON.',
                HINT = 'Write nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb.';
        END LOOP;
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.attach_users(regclass, name, name, name, name, name) IS 'Administrators only: ties members and operators to the host''s users table, removes what a deleted user had, and keeps claims in the users'' app metadata. Optional columns that are missing turn off, with a notice, what needs them. Called again it repairs. Returns whether anything changed. Errors: 42501 not an administrator; 22023 no such id column; 0A000 not a table, or a column of a type that does not fit; 55000 ids are not unique, another table is attached, or members name users that do not exist';

CREATE FUNCTION tenancy.detach_users() RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known tenancy.users_table;
    item record;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to detach the users table' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    DELETE FROM tenancy.users_table t RETURNING t.* INTO known;
    -- Those of a partition go with the partitioned table's.
    FOR item IN SELECT g.tgname, g.tgrelid::regclass AS relation FROM pg_trigger g
                  JOIN pg_proc p ON p.oid = g.tgfoid
                 WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND p.pronamespace = 'tenancy'::regnamespace
                   AND p.proname IN ('forget_users', 'keep_claims', 'assign_user', 'create_profile', 'keep_profile') LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.relation);
    END LOOP;
    FOR item IN SELECT r.* FROM tenancy.users_references() r
                  JOIN pg_constraint c ON c.conrelid = r.relation AND c.conname = r.name LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.relation, item.name);
    END LOOP;
    DELETE FROM tenancy.claims_queue;
    DELETE FROM tenancy.sync_failures;
    RETURN known.relation IS NOT NULL;
END
$$;
COMMENT ON FUNCTION tenancy.detach_users() IS 'Administrators only: undoes attach_users; members, and the claims projected so far, stay. Returns whether a table was attached. Errors: 42501 not an administrator';
