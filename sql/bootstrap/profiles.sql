-- What profiles have to do with the host's users table: made at sign-up, copied into the user metadata column, and
-- put back there when the auth server overwrites it. Nothing of it may stop the host's write.

-- The keys of ours in the user metadata: all of a profile but whose it is.
CREATE FUNCTION tenancy.profile_keys() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    RETURN '{first_name,last_name,display_name,salutation,title,avatar_url,website_url,time_zone,language,birthday_date,phone,created_at,updated_at}'::text[];
COMMENT ON FUNCTION tenancy.profile_keys() IS 'Administrators only: the keys of the user metadata that profiles own';

CREATE FUNCTION tenancy.profile_document(profile tenancy.user_profiles) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN jsonb_strip_nulls(to_jsonb(profile) - 'user_id');
COMMENT ON FUNCTION tenancy.profile_document(tenancy.user_profiles) IS 'Administrators only: a profile as it stands in the user metadata';

-- The metadata with the profile in it; as it was if it is no object.
CREATE FUNCTION tenancy.with_profile(metadata jsonb, profile tenancy.user_profiles) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT CASE WHEN coalesce(jsonb_typeof(metadata), 'null') IN ('object', 'null')
                THEN coalesce(nullif(metadata, 'null') - tenancy.profile_keys(), '{}') || tenancy.profile_document(profile)
                ELSE metadata END;
    END;
COMMENT ON FUNCTION tenancy.with_profile(jsonb, tenancy.user_profiles) IS 'Administrators only: user metadata with the profile''s keys in it, and no other touched';

-- With the rights of the users table's owner: its triggers are his.
CREATE FUNCTION tenancy.write_profiles(attached tenancy.users_table, profiles tenancy.user_profiles[]) RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT tenancy.write_metadata((attached).user_metadata_column, tenancy.profile_keys(),
               coalesce(array_agg(p.user_id), '{}'), coalesce(array_agg(tenancy.profile_document(p)::text), '{}'))
      FROM unnest(profiles) p;
    END;
COMMENT ON FUNCTION tenancy.write_profiles(tenancy.users_table, tenancy.user_profiles[]) IS 'Administrators only: copies profiles into the users'' metadata. Returns how many were wrong there';

CREATE FUNCTION tenancy.default_avatar(user_id uuid, email text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT nullif(replace(replace(replace(coalesce(current_setting('tenancy.profile_avatar_url', true), ''),
                  '{user_id}', user_id::text), '{user_md5}', md5(user_id::text)),
                  '{email_md5}', md5(lower(btrim(coalesce(email, ''))))), '');
    END;
COMMENT ON FUNCTION tenancy.default_avatar(uuid, text) IS 'Administrators only: tenancy.profile_avatar_url for this user';

-- What people sign up with, under GoTrue's and OpenID's names as well as ours. It is a stranger's: what does not fit
-- is left out rather than refused.
CREATE FUNCTION tenancy.initial_profile(user_id uuid, metadata jsonb, email text) RETURNS tenancy.user_profiles
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made tenancy.user_profiles;
    names text[] := '{first_name,given_name,last_name,family_name,display_name,full_name,name,user_name,salutation,title,phone}';
    texts jsonb;
    found text;
BEGIN
    IF jsonb_typeof(metadata) IS DISTINCT FROM 'object' THEN
        metadata := '{}';
    END IF;
    SELECT coalesce(jsonb_object_agg(n, btrim(metadata ->> n)), '{}') INTO texts FROM unnest(names) n
     WHERE jsonb_typeof(metadata -> n) = 'string' AND tenancy.is_profile_text(btrim(metadata ->> n));
    made.user_id := initial_profile.user_id;
    made.first_name := coalesce(texts ->> 'first_name', texts ->> 'given_name');
    made.last_name := coalesce(texts ->> 'last_name', texts ->> 'family_name');
    made.display_name := coalesce(texts ->> 'display_name', texts ->> 'full_name', texts ->> 'name', texts ->> 'user_name');
    made.salutation := texts ->> 'salutation';
    made.title := texts ->> 'title';
    made.phone := texts ->> 'phone';
    SELECT u INTO made.avatar_url
      FROM unnest(ARRAY[metadata ->> 'avatar_url', metadata ->> 'picture', tenancy.default_avatar(user_id, email)]) WITH ORDINALITY a (u, n)
     WHERE tenancy.is_web_address(u) ORDER BY n LIMIT 1;
    SELECT u INTO made.website_url
      FROM unnest(ARRAY[metadata ->> 'website_url', metadata ->> 'website']) WITH ORDINALITY a (u, n)
     WHERE tenancy.is_web_address(u) ORDER BY n LIMIT 1;
    SELECT z INTO made.time_zone
      FROM unnest(ARRAY[metadata ->> 'time_zone', metadata ->> 'zoneinfo', metadata ->> 'timezone', 'UTC']) WITH ORDINALITY a (z, n)
     WHERE tenancy.is_time_zone(z) ORDER BY n LIMIT 1;
    -- OpenID providers write en_US, too.
    SELECT replace(l, '_', '-') INTO made.language
      FROM unnest(ARRAY[metadata ->> 'language', metadata ->> 'locale', 'en']) WITH ORDINALITY a (l, n)
     WHERE tenancy.is_language_tag(replace(l, '_', '-')) ORDER BY n LIMIT 1;
    found := coalesce(metadata ->> 'birthday_date', metadata ->> 'birthdate');
    IF found ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' THEN
        BEGIN
            made.birthday_date := left(found, 10)::date;
        EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format THEN
            made.birthday_date := NULL;
        END;
    END IF;
    made.created_at := now();
    made.updated_at := now();
    RETURN made;
END
$$;
COMMENT ON FUNCTION tenancy.initial_profile(uuid, jsonb, text) IS 'Administrators only: the profile that a user starts with, from what he signed up with';

CREATE FUNCTION tenancy.create_profile() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    user_id uuid;
    metadata jsonb;
    email text;
BEGIN
    PERFORM tenancy.check_users_columns();
    EXECUTE format('SELECT ($1).%I, %s, %s', TG_ARGV[0], CASE WHEN TG_ARGV[1] = '' THEN 'NULL' ELSE format('($1).%I', TG_ARGV[1]) END,
                   CASE WHEN TG_ARGV[2] = '' THEN 'NULL' ELSE format('($1).%I', TG_ARGV[2]) END)
       INTO user_id, metadata, email USING NEW;
    INSERT INTO tenancy.user_profiles SELECT p.* FROM tenancy.initial_profile(user_id, metadata, email) p
    ON CONFLICT ON CONSTRAINT user_profiles_pkey DO NOTHING;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM tenancy.survive_failure('profile', user_id, SQLSTATE, SQLERRM);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.create_profile() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.create_profile() IS 'Trigger function: a new user gets a profile; never fails';

-- The auth server writes the whole column from a copy it read before: our keys come back as the profile has them.
CREATE FUNCTION tenancy.keep_profile() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '500ms'
    AS 'MODULE_PATHNAME', 'tenancy_keep_profile';
REVOKE ALL ON FUNCTION tenancy.keep_profile() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.keep_profile() IS 'Trigger function: user metadata keeps what the profile says, whoever overwrites it; never fails';

CREATE FUNCTION tenancy.copy_profile(attached tenancy.users_table, profile tenancy.user_profiles) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.write_profiles(attached, ARRAY[profile]);
EXCEPTION WHEN OTHERS THEN
    PERFORM tenancy.survive_failure('profile', profile.user_id, SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION tenancy.copy_profile(tenancy.users_table, tenancy.user_profiles) IS 'Administrators only: copies one profile; records a failure and raises none';

-- All of a statement at once; one by one only when that fails, so that one failure is one user's.
CREATE FUNCTION tenancy.copy_profiles() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '2s' AS $$
DECLARE
    attached tenancy.users_table;
BEGIN
    SELECT t.* INTO attached FROM tenancy.users_table t WHERE t.profiles AND t.user_metadata_column IS NOT NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM tenancy.write_profiles(attached, ARRAY(SELECT c FROM changed c));
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM tenancy.copy_profile(attached, p) FROM changed p;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.copy_profiles() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.copy_profiles() IS 'Trigger function: profiles that changed are copied into the users'' metadata; never fails';
CREATE TRIGGER copy_inserted AFTER INSERT ON tenancy.user_profiles REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tenancy.copy_profiles();
CREATE TRIGGER copy_updated AFTER UPDATE ON tenancy.user_profiles REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tenancy.copy_profiles();
COMMENT ON TRIGGER copy_inserted ON tenancy.user_profiles IS 'New profiles are copied into the users'' metadata';
COMMENT ON TRIGGER copy_updated ON tenancy.user_profiles IS 'Changed profiles are copied into the users'' metadata';

-- With the rights of the owner of the users table; some at a time.
CREATE FUNCTION tenancy.users_to_profile(attached tenancy.users_table) RETURNS TABLE (id uuid, metadata jsonb, email text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
    lines text[];
    last uuid;
BEGIN
    FOR part IN SELECT * FROM tenancy.parts_by_owner(attached.relation) LOOP
        last := NULL;
        LOOP
            lines := tenancy.read_as_owner(part.relation, format('SELECT jsonb_build_array(u.%1$I, %2$s, %3$s)::text FROM %4$s u%5$s ORDER BY u.%1$I LIMIT 10000',
                attached.id_column, coalesce('u.' || quote_ident(attached.user_metadata_column), 'NULL'), coalesce('u.' || quote_ident(attached.email_column), 'NULL'),
                part.source, CASE WHEN last IS NOT NULL THEN format(' WHERE u.%I > %L', attached.id_column, last) END));
            EXIT WHEN lines = '{}';
            RETURN QUERY SELECT (l::jsonb ->> 0)::uuid, nullif(l::jsonb -> 1, 'null'), l::jsonb ->> 2 FROM unnest(lines) l WHERE l::jsonb ->> 0 IS NOT NULL;
            last := (lines[cardinality(lines)]::jsonb ->> 0)::uuid;
            EXIT WHEN last IS NULL;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.users_to_profile(tenancy.users_table) IS 'Administrators only: what profiles are made from, of all users, read with the rights of the users table''s owner';

CREATE FUNCTION tenancy.enable_profiles() RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    attached tenancy.users_table;
    item record;
    source text;
    changed boolean;
    made bigint;
    copied bigint := 0;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to enable profiles' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    SELECT t.* INTO attached FROM tenancy.users_table t FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no users table is attached' USING ERRCODE = '55000',
            HINT = 'SELECT tenancy.attach_users(); first.';
    END IF;
    PERFORM tenancy.hold_users_table();
    changed := NOT attached.profiles;
    IF changed THEN
        UPDATE tenancy.users_table t SET profiles = true RETURNING t.* INTO attached;
    END IF;
    FOR item IN SELECT t.name, t.definition FROM tenancy.users_triggers(attached) t
                 WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = attached.relation AND g.tgname = t.name) LOOP
        EXECUTE format('CREATE TRIGGER %I %s', item.name, item.definition);
        changed := true;
    END LOOP;
    IF attached.user_metadata_column IS NULL THEN
        RAISE NOTICE 'table % has no user metadata column: copying profiles is off', attached.relation;
    END IF;
    source := format('SELECT u.%I AS id, %s AS metadata, %s AS email FROM ', attached.id_column,
                     CASE WHEN attached.user_metadata_column IS NULL THEN 'NULL::jsonb' ELSE format('u.%I', attached.user_metadata_column) END,
                     CASE WHEN attached.email_column IS NULL THEN 'NULL' ELSE format('u.%I', attached.email_column) END || '::text');
    IF tenancy.trusts_owners(attached.relation) THEN
        source := concat(source, attached.relation, ' u');
    ELSE
        source := format('SELECT * FROM tenancy.users_to_profile(%L)', attached);
    END IF;
    EXECUTE format('INSERT INTO tenancy.user_profiles SELECT p.* FROM (%s) u, LATERAL tenancy.initial_profile(u.id, u.metadata, u.email) p
                     WHERE NOT EXISTS (SELECT FROM tenancy.user_profiles o WHERE o.user_id = u.id)
                    ON CONFLICT ON CONSTRAINT user_profiles_pkey DO NOTHING', source);
    GET DIAGNOSTICS made = ROW_COUNT;
    -- Profiles that were there already, from before a disable_profiles() or from a template, or whose copying failed.
    IF attached.user_metadata_column IS NOT NULL THEN
        SELECT sum(tenancy.write_profiles(attached, lot.profiles)) INTO copied
          FROM (SELECT array_agg(n.p) FROM (SELECT p, row_number() OVER () / 10000 AS lot FROM tenancy.user_profiles p) n
                 GROUP BY n.lot) lot (profiles);
    END IF;
    DELETE FROM tenancy.sync_failures f WHERE f.what = 'profile';
    RETURN changed OR made > 0 OR copied > 0;
END
$$;
COMMENT ON FUNCTION tenancy.enable_profiles() IS 'Administrators only: from now on each user has a profile, copied into his metadata; users that are there get theirs. Called again it mends what is missing. Returns whether anything changed. Errors: 42501 not an administrator; 55000 no users table is attached';

CREATE FUNCTION tenancy.disable_profiles(drop_data boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    item record;
    changed boolean;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to disable profiles' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    UPDATE tenancy.users_table t SET profiles = false WHERE t.profiles;
    changed := FOUND;
    FOR item IN SELECT g.tgname, g.tgrelid::regclass AS relation FROM pg_trigger g
                 WHERE NOT g.tgisinternal
                   AND g.tgfoid IN ('tenancy.create_profile()'::regprocedure, 'tenancy.keep_profile()'::regprocedure) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.relation);
        changed := true;
    END LOOP;
    IF drop_data THEN
        DELETE FROM tenancy.user_profiles;
        changed := changed OR FOUND;
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.disable_profiles(boolean) IS 'Administrators only: new users get no profile and none is copied any more; profiles stay unless drop_data, copies in the metadata stay. Returns whether anything changed. Errors: 42501 not an administrator';
