-- Attaching the host's own table of members. What a user is in a tenant follows from all the host's rows about the two,
-- so a trigger reads these again, rather than to add up what changed: it holds the row of attached_members while it does,
-- so that of two sessions that change the last two rows the second sees what the first did, or fails to serialize.

CREATE FUNCTION tenancy.attached_type(attached tenancy.attached_tables, purpose text) RETURNS regtype
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT a.atttypid FROM pg_attribute a
             WHERE a.attrelid = attached.relation AND a.attnum = tenancy.column_number(attached.relation, attached.columns ->> purpose));
COMMENT ON FUNCTION tenancy.attached_type(tenancy.attached_tables, text) IS 'Administrators only: the type of an attached table''s column';

CREATE FUNCTION tenancy.attached_user_sql(attached tenancy.attached_tables) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN tenancy.attached_type(attached, 'user') = 'uuid'::regtype THEN format('h.%I', attached.columns ->> 'user') ELSE 's.user_id' END;
COMMENT ON FUNCTION tenancy.attached_user_sql(tenancy.attached_tables) IS 'Administrators only: the user''s id in the SELECT of attached_members_sql';

-- By the output function: a cast from the host's enum to text may be the host's own. Spaces at the end of a char(n) mean nothing.
CREATE FUNCTION tenancy.attached_role_sql(attached tenancy.attached_tables, line text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN attached.columns ->> 'role' IS NOT NULL THEN
        format(CASE WHEN tenancy.attached_type(attached, 'role') = 'bpchar'::regtype THEN 'nullif(rtrim(format(''%%s'', %s.%I)), '''')'
                    ELSE 'nullif(format(''%%s'', %s.%I), '''')' END, line, attached.columns ->> 'role') END;
COMMENT ON FUNCTION tenancy.attached_role_sql(tenancy.attached_tables, text) IS 'Administrators only: the role''s name that a row gives, NULL if it gives none';

-- A SELECT of what the host's rows come to: tenant_id, user_id, active, role_ids.
CREATE FUNCTION tenancy.attached_members_sql(attached tenancy.attached_tables) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN format('SELECT t.id AS tenant_id, %s AS user_id, bool_or(%s) AS active,'
                  ' coalesce(array_agg(DISTINCT r.id) FILTER (WHERE r.id IS NOT NULL AND %2$s), ''{}'') AS role_ids'
                  ' FROM ONLY %s h JOIN tenancy.tenants t ON %s %s'
                  ' LEFT JOIN tenancy.roles r ON r.tenant_id IS NULL AND (r.name = ANY (%L::text[])%s)'
                  ' WHERE h.%I IS NOT NULL GROUP BY 1, 2',
                  tenancy.attached_user_sql(attached),
                  coalesce('coalesce(h.' || quote_ident(attached.columns ->> 'active') || ', false)', 'true'),
                  attached.relation,
                  format(CASE WHEN tenancy.attached_type(attached, 'tenant') = 'uuid'::regtype THEN 't.id = h.%I' ELSE 't.key = h.%I::text' END,
                         attached.columns ->> 'tenant'),
                  CASE WHEN tenancy.attached_type(attached, 'user') = 'uuid'::regtype THEN ''
                       ELSE format('JOIN tenancy.subjects s ON s.subject = h.%I::text', attached.columns ->> 'user') END,
                  attached.roles,
                  coalesce(' OR r.name = ' || tenancy.attached_role_sql(attached, 'h'), ''),
                  attached.columns ->> 'user');
COMMENT ON FUNCTION tenancy.attached_members_sql(tenancy.attached_tables) IS 'Administrators only: a SELECT of the members that rows of the attached table make, with the roles they give';

-- The host's tenant and user, in its own words, in ours: NULL for a tenant that is not there.
CREATE FUNCTION tenancy.attached_pair(attached tenancy.attached_tables, tenant text, who text, OUT tenant_id uuid, OUT user_id uuid)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF tenancy.attached_type(attached, 'tenant') = 'uuid'::regtype THEN
        SELECT t.id INTO tenant_id FROM tenancy.tenants t WHERE t.id = tenant::uuid;
    ELSE
        SELECT t.id INTO tenant_id FROM tenancy.tenants t WHERE t.key = tenant;
    END IF;
    IF tenancy.attached_type(attached, 'user') = 'uuid'::regtype THEN
        user_id := who::uuid;
    ELSE
        user_id := tenancy.map_subject(who);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.attached_pair(tenancy.attached_tables, text, text) IS 'Administrators only: tenant and user of a row of the attached table of members; a user who has no subject yet gets one';

-- gives: whether a row may have come, and not only gone.
CREATE FUNCTION tenancy.reconcile_member(attached tenancy.attached_tables, tenant uuid, who uuid, condition text, gives boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    was tenancy.attached_members;
    wanted record;
    lines text[];
    granted uuid[];
    made boolean := false;
BEGIN
    IF gives THEN
        INSERT INTO tenancy.members (tenant_id, user_id) VALUES (tenant, who) ON CONFLICT ON CONSTRAINT members_pkey DO NOTHING;
        made := FOUND;
        INSERT INTO tenancy.attached_members (tenant_id, user_id, made, active) VALUES (tenant, who, made, true)
        ON CONFLICT ON CONSTRAINT attached_members_pkey DO NOTHING;
    END IF;
    -- Written, not only locked: above READ COMMITTED the next to come must fail rather than read what was.
    UPDATE tenancy.attached_members a SET made = a.made WHERE a.tenant_id = tenant AND a.user_id = who RETURNING a.* INTO was;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- As the table's owner: what is his stands in his indexes too, and runs while Postgres plans.
    lines := tenancy.read_as_owner(attached.relation, format('SELECT concat(%s, %s) FROM ONLY %s h WHERE %s',
        coalesce('CASE WHEN h.' || quote_ident(attached.columns ->> 'active') || ' THEN ''+'' ELSE ''-'' END', '''+'''),
        coalesce(tenancy.attached_role_sql(attached, 'h'), 'NULL'), attached.relation, condition));
    SELECT coalesce(bool_or(l LIKE '+%'), false) AS active, cardinality(lines) AS rows, coalesce((
               SELECT array_agg(r.id) FROM tenancy.roles r
                WHERE r.tenant_id IS NULL AND (r.name = ANY (attached.roles) AND EXISTS (SELECT FROM unnest(lines) g WHERE g LIKE '+%')
                                               OR '+' || r.name = ANY (lines))), '{}') AS role_ids
      INTO wanted FROM unnest(lines) l;
    IF wanted.rows = 0 THEN
        IF was.made THEN
            DELETE FROM tenancy.members m WHERE m.tenant_id = tenant AND m.user_id = who;
        ELSE
            DELETE FROM tenancy.member_roles g WHERE g.tenant_id = tenant AND g.user_id = who AND g.role_id = ANY (was.role_ids);
            DELETE FROM tenancy.attached_members a WHERE a.tenant_id = tenant AND a.user_id = who;
        END IF;
        RETURN;
    END IF;
    DELETE FROM tenancy.member_roles g
     WHERE g.tenant_id = tenant AND g.user_id = who AND g.role_id = ANY (was.role_ids) AND g.role_id <> ALL (wanted.role_ids);
    -- What was granted by hand before is not ours to take away; what was ours and was revoked by hand is left revoked.
    WITH g AS (
        INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
        SELECT tenant, who, r FROM unnest(wanted.role_ids) r WHERE r <> ALL (was.role_ids)
        ON CONFLICT ON CONSTRAINT member_roles_pkey DO NOTHING RETURNING role_id
    )
    SELECT array_agg(g.role_id) INTO granted FROM g;
    IF wanted.active <> was.active THEN
        UPDATE tenancy.members m SET status = CASE WHEN wanted.active THEN 'active' ELSE 'suspended' END
         WHERE m.tenant_id = tenant AND m.user_id = who;
    END IF;
    UPDATE tenancy.attached_members a
       SET active = wanted.active,
           role_ids = ARRAY(SELECT r FROM unnest(was.role_ids) r WHERE r = ANY (wanted.role_ids)) || coalesce(granted, '{}')
     WHERE a.tenant_id = tenant AND a.user_id = who;
END
$$;
COMMENT ON FUNCTION tenancy.reconcile_member(tenancy.attached_tables, uuid, uuid, text, boolean) IS 'Administrators only: makes one member what the attached table''s rows that fit the condition say he is';

CREATE FUNCTION tenancy.project_member() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    attached tenancy.attached_tables;
    parts text;
    was text[];
    is_now text[];
    pair record;
BEGIN
    SELECT a.* INTO attached FROM tenancy.attached_tables a WHERE a.kind = 'members' AND a.relation = TG_RELID;
    -- In a restore of data only, perhaps not yet: then the members come as they were.
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM tenancy.check_attached_columns(attached.relation, attached.columns);
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM tenancy.member_roles g USING tenancy.attached_members a
         WHERE NOT a.made AND a.tenant_id = g.tenant_id AND a.user_id = g.user_id AND g.role_id = ANY (a.role_ids);
        DELETE FROM tenancy.members m USING tenancy.attached_members a
         WHERE a.made AND a.tenant_id = m.tenant_id AND a.user_id = m.user_id;
        DELETE FROM tenancy.attached_members;
        RETURN NULL;
    END IF;
    parts := format('SELECT ARRAY[($1).%I::text, ($1).%I::text, %s, %s]', attached.columns ->> 'tenant', attached.columns ->> 'user',
                    coalesce(tenancy.attached_role_sql(attached, '($1)'), 'NULL'),
                    coalesce('($1).' || quote_ident(attached.columns ->> 'active') || '::text', 'NULL'));
    IF TG_OP <> 'INSERT' THEN
        EXECUTE parts INTO was USING OLD;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        EXECUTE parts INTO is_now USING NEW;
    END IF;
    IF was IS NOT DISTINCT FROM is_now THEN
        RETURN NULL;
    END IF;
    IF is_now[3] IS NOT NULL AND NOT EXISTS (SELECT FROM tenancy.roles r WHERE r.tenant_id IS NULL AND r.name = is_now[3]) THEN
        RAISE EXCEPTION 'role "%" does not exist', is_now[3] USING ERRCODE = '42704',
            DETAIL = format('A member of table %s would have it, and there is no such role of the application.', TG_RELID::regclass),
            HINT = 'An administrator may create it with tenancy.create_role().';
    END IF;
    IF is_now[1] IS NOT NULL AND is_now[2] IS NOT NULL THEN
        SELECT * INTO pair FROM tenancy.attached_pair(attached, is_now[1], is_now[2]);
        IF pair.tenant_id IS NULL THEN
            RAISE EXCEPTION 'tenant "%" does not exist', is_now[1] USING ERRCODE = '42704',
                DETAIL = format('Table %s names it as the tenant of a member.', TG_RELID::regclass);
        END IF;
        PERFORM tenancy.reconcile_member(attached, pair.tenant_id, pair.user_id,
            format('h.%I = %L AND h.%I = %L', attached.columns ->> 'tenant', is_now[1], attached.columns ->> 'user', is_now[2]), true);
    END IF;
    IF was[1] IS NOT NULL AND was[2] IS NOT NULL AND (was[1], was[2]) IS DISTINCT FROM (is_now[1], is_now[2]) THEN
        SELECT * INTO pair FROM tenancy.attached_pair(attached, was[1], was[2]);
        PERFORM tenancy.reconcile_member(attached, pair.tenant_id, pair.user_id,
            format('h.%I = %L AND h.%I = %L', attached.columns ->> 'tenant', was[1], attached.columns ->> 'user', was[2]), false);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.project_member() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.project_member() IS 'Trigger function: members are what the rows of the attached table of members say';

-- Under the names of the columns there. What gives the role, which may be of the host's type, is a text.
CREATE FUNCTION tenancy.copy_attached(attached tenancy.attached_tables) RETURNS tenancy.attached_tables
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text;
    read_as text;
BEGIN
    SELECT string_agg(format('%I %s', c.value, CASE c.key WHEN 'role' THEN 'text' ELSE tenancy.attached_type(attached, c.key)::text END), ', ' ORDER BY c.key),
           string_agg(CASE c.key WHEN 'role' THEN tenancy.attached_role_sql(attached, 'h') ELSE format('h.%I', c.value) END, ', ' ORDER BY c.key)
      INTO columns, read_as
      FROM jsonb_each_text(attached.columns) c;
    attached.relation := tenancy.copy_parts(attached.relation, columns, format('SELECT %s FROM ONLY ', read_as), ' h');
    RETURN attached;
END
$$;
COMMENT ON FUNCTION tenancy.copy_attached(tenancy.attached_tables) IS 'Administrators only: the attached table as a copy of what is read of it, with its owner''s rights';

-- Rows there are, all at once: those that are new, then those that are no longer what they were.
-- source is the attached table, or a copy of it.
CREATE FUNCTION tenancy.reconcile_members(attached tenancy.attached_tables, source tenancy.attached_tables) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    everybody text := tenancy.attached_members_sql(source);
    stale record;
    affected bigint;
    changes bigint := 0;
BEGIN
    EXECUTE format('WITH w AS MATERIALIZED (%s), m AS (
                        INSERT INTO tenancy.members (tenant_id, user_id, status)
                        SELECT w.tenant_id, w.user_id, CASE WHEN w.active THEN ''active'' ELSE ''suspended'' END FROM w
                        ON CONFLICT ON CONSTRAINT members_pkey DO NOTHING RETURNING tenant_id, user_id)
                    INSERT INTO tenancy.attached_members (tenant_id, user_id, made, active)
                    SELECT w.tenant_id, w.user_id, m.user_id IS NOT NULL, w.active OR m.user_id IS NULL FROM w LEFT JOIN m USING (tenant_id, user_id)
                    ON CONFLICT ON CONSTRAINT attached_members_pkey DO NOTHING', everybody);
    GET DIAGNOSTICS affected = ROW_COUNT;
    changes := changes + affected;
    EXECUTE format('WITH w AS MATERIALIZED (%s), g AS (
                        INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
                        SELECT w.tenant_id, w.user_id, r FROM w JOIN tenancy.attached_members a USING (tenant_id, user_id), unnest(w.role_ids) r
                         WHERE r <> ALL (a.role_ids)
                        ON CONFLICT ON CONSTRAINT member_roles_pkey DO NOTHING RETURNING tenant_id, user_id, role_id)
                    UPDATE tenancy.attached_members a SET role_ids = ARRAY(SELECT unnest(a.role_ids) UNION SELECT unnest(n.role_ids))
                      FROM (SELECT g.tenant_id, g.user_id, array_agg(g.role_id) AS role_ids FROM g GROUP BY 1, 2) n
                     WHERE a.tenant_id = n.tenant_id AND a.user_id = n.user_id', everybody);
    GET DIAGNOSTICS affected = ROW_COUNT;
    changes := changes + affected;
    FOR stale IN EXECUTE format('SELECT a.tenant_id, a.user_id FROM tenancy.attached_members a LEFT JOIN (%s) w USING (tenant_id, user_id)
                                  WHERE w.tenant_id IS NULL OR w.active <> a.active OR NOT a.role_ids <@ w.role_ids', everybody) LOOP
        PERFORM tenancy.reconcile_member(attached, stale.tenant_id, stale.user_id,
            format('h.%I::text = %L AND h.%I::text = ANY (%L::text[])', attached.columns ->> 'tenant',
                   tenancy.tenant_value(stale.tenant_id, tenancy.attached_type(attached, 'tenant')::text), attached.columns ->> 'user',
                   CASE WHEN tenancy.attached_type(attached, 'user') = 'uuid'::regtype THEN ARRAY[stale.user_id::text]
                        ELSE ARRAY(SELECT s.subject FROM tenancy.subjects s WHERE s.user_id = stale.user_id) END), false);
        changes := changes + 1;
    END LOOP;
    RETURN changes > 0;
END
$$;
COMMENT ON FUNCTION tenancy.reconcile_members(tenancy.attached_tables, tenancy.attached_tables) IS 'Administrators only: makes all members what the attached table''s rows say, as they are there or in a copy. Returns whether anything changed';

CREATE FUNCTION tenancy.attach_members("table" regclass, tenant_column name, user_column name, roles text[] DEFAULT '{}',
                                       role_column name DEFAULT NULL, active_column name DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    known tenancy.attached_tables;
    wanted tenancy.attached_tables;
    source tenancy.attached_tables;
    item record;
    names text;
    bad bigint;
    changed boolean := false;
BEGIN
    IF "table" IS NOT NULL AND (tenant_column IS NULL OR user_column IS NULL OR tenant_column = user_column
                                OR roles IS NULL OR array_position(roles, NULL) IS NOT NULL) THEN
        RAISE EXCEPTION 'tenant_column, user_column and roles must not be null' USING ERRCODE = '22023',
            DETAIL = 'And a column is not both.';
    END IF;
    wanted := ('members', "table", jsonb_strip_nulls(jsonb_build_object('tenant', tenant_column, 'user', user_column, 'role', role_column,
                                                                        'active', active_column)), roles, now());
    PERFORM tenancy.check_attachable("table", wanted.columns, 'members');
    IF tenancy.attached_type(wanted, 'user') <> 'uuid'::regtype AND current_setting('tenancy.subject_format', true) IS DISTINCT FROM 'mapped' THEN
        RAISE EXCEPTION 'column "%" of table % is of type %, not uuid', user_column, "table", tenancy.attached_type(wanted, 'user') USING
            ERRCODE = '0A000', HINT = 'Users may have other ids with tenancy.subject_format = mapped.';
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', "table");
    PERFORM tenancy.check_attached_columns("table", wanted.columns);
    SELECT string_agg(DISTINCT format('"%s"', r), ', ') INTO names FROM unnest(roles) r
     WHERE NOT EXISTS (SELECT FROM tenancy.roles o WHERE o.tenant_id IS NULL AND o.name = r);
    source := wanted;
    IF names IS NULL AND NOT tenancy.is_trusted_owner("table") THEN
        source := tenancy.copy_attached(wanted);
    END IF;
    IF names IS NULL AND role_column IS NOT NULL THEN
        EXECUTE format('SELECT string_agg(DISTINCT concat(''"'', v.role, ''"''), '', '')
                          FROM (SELECT DISTINCT %s FROM ONLY %s h) v (role)
                         WHERE v.role IS NOT NULL AND NOT EXISTS (SELECT FROM tenancy.roles o WHERE o.tenant_id IS NULL AND o.name = v.role)',
                       tenancy.attached_role_sql(source, 'h'), source.relation) INTO names;
    END IF;
    IF names IS NOT NULL THEN
        RAISE EXCEPTION 'role % does not exist', left(names, 200) USING ERRCODE = '42704',
            HINT = 'Members get roles of the application: create them with tenancy.create_role().';
    END IF;
    EXECUTE format('SELECT count(*) FROM ONLY %s h WHERE h.%I IS NOT NULL AND NOT EXISTS (SELECT FROM tenancy.tenants t WHERE %s)',
                   source.relation, tenant_column,
                   format(CASE WHEN tenancy.attached_type(wanted, 'tenant') = 'uuid'::regtype THEN 't.id = h.%I' ELSE 't.key = h.%I::text' END, tenant_column))
       INTO bad;
    IF bad > 0 THEN
        RAISE EXCEPTION '% row(s) of table % name tenants that do not exist', bad, "table" USING ERRCODE = '55000',
            HINT = 'Attach the table of tenants first: tenancy.attach_tenants().';
    END IF;
    IF tenancy.attached_type(wanted, 'user') <> 'uuid'::regtype THEN
        EXECUTE format('SELECT count(tenancy.map_subject(v.subject)) FROM (SELECT DISTINCT h.%I::text FROM ONLY %s h) v (subject) WHERE v.subject IS NOT NULL',
                       user_column, source.relation);
    END IF;
    SELECT a.* INTO known FROM tenancy.attached_tables a WHERE a.kind = 'members';
    IF (known.relation, known.columns, known.roles) IS DISTINCT FROM (wanted.relation, wanted.columns, wanted.roles) THEN
        INSERT INTO tenancy.attached_tables SELECT wanted.*
        ON CONFLICT (kind) DO UPDATE SET relation = excluded.relation, columns = excluded.columns, roles = excluded.roles;
        changed := true;
    END IF;
    FOR item IN
        SELECT v.name, v.definition FROM (VALUES
            ('~pg_tenancy_attached_members', 'AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW'),
            ('~pg_tenancy_attached_members_truncate', 'AFTER TRUNCATE ON %s FOR EACH STATEMENT')) v (name, definition)
         WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = "table" AND t.tgname = v.name AND t.tgenabled IN ('O', 'A'))
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I ' || item.definition || ' EXECUTE FUNCTION tenancy.project_member()', item.name, "table");
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', "table", item.name);
        changed := true;
    END LOOP;
    -- Not `… OR changed`: the call must be made.
    IF tenancy.reconcile_members(wanted, source) THEN
        changed := true;
    END IF;
    IF source.relation <> "table" THEN
        DROP TABLE pg_temp."~pg_tenancy_copy";
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.attach_members(regclass, name, name, text[], name, name) IS 'Administrators only: makes the user of each row of the host''s table a member of its tenant, with these roles of the application and the one its row names, now and from now on; of several rows about the two all count. What was granted by hand beside stays. Called again it repairs. Returns whether anything changed. Errors: 42501 not an administrator; 22023 no such column; 0A000 not an ordinary table, or a column of a type that does not fit; 42704 no such role; 55000 rows of unknown tenants, or another table attached';

CREATE FUNCTION tenancy.detach_members() RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attached boolean;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to detach the table of members' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    DELETE FROM tenancy.attached_tables a WHERE a.kind = 'members';
    attached := FOUND;
    PERFORM tenancy.drop_attached_triggers('members');
    DELETE FROM tenancy.attached_members;
    RETURN attached;
END
$$;
COMMENT ON FUNCTION tenancy.detach_members() IS 'Administrators only: undoes attach_members; members and their grants stay. Returns whether a table was attached. Errors: 42501 not an administrator';
