-- Moves what "Multi-tenancy with RBAC for Supabase" keeps (tenants, tenant_members, roles, user_roles) into schema
-- tenancy, and checks that every user may do exactly what he could. The template's tables are only read.
-- docs/guides/from_rbac_template.md tells the whole way. Run by an administrator with psql, as often as one likes
-- until the switch-over; one transaction, nothing half done:
--
--     psql -d app -f from_rbac_template.sql
--
-- Options, each as -v name=value:
--   schema=public         where the template's tables are
--   users=auth.users      the users' table, with raw_app_meta_data
--   dry_run=on            do all of it, say what came of it, and roll back
--   only=check            compare what is there now
--   permission_map='{"docs:read": "docs.read"}'   names that have to change; tenant_members.assign becomes members.assign
--   slug_map='{"Old Name": "old-name"}', role_map='{"owner": "chief"}'   the same for tenants and roles
--   strays=refuse         leave: roles of tenants a user is not in, which the template counts everywhere, stay behind
--   metadata=leave        copy: the tenants' other columns become their metadata, which every member can read
\if :{?schema}
\else
    \set schema public
\endif
\set source rbac
\ir from_template/prepare.sql

-- --- the template's tables, as they are now ----------------------------------------------------
DO $$
DECLARE
    schema_name text := current_setting('migration.schema');
    users regclass := to_regclass(current_setting('migration.users'));
    t text;
    labels text;
BEGIN
    FOREACH t IN ARRAY '{tenants,tenant_members,roles,user_roles}'::text[] LOOP
        IF to_regclass(format('%I.%I', schema_name, t)) IS NULL THEN
            RAISE EXCEPTION 'table %.% does not exist', schema_name, t USING ERRCODE = '42P01',
                HINT = 'Name the schema of the template''s tables: -v schema=….';
        END IF;
        EXECUTE format('LOCK TABLE %I.%I IN SHARE MODE', schema_name, t);
    END LOOP;
    EXECUTE format('CREATE TEMP TABLE old_tenants ON COMMIT DROP AS SELECT t.id::text, t.name::text, jsonb_strip_nulls(to_jsonb(t) - ''id'' - ''name'') AS extra FROM %I.tenants t', schema_name);
    EXECUTE format('CREATE TEMP TABLE old_members ON COMMIT DROP AS SELECT DISTINCT tenant_id::text, user_id::uuid FROM %I.tenant_members', schema_name);
    EXECUTE format('CREATE TEMP TABLE old_roles ON COMMIT DROP AS SELECT r.id::text, r.tenant_id::text, r.name::text, to_jsonb(r) ->> ''notes'' AS notes, coalesce(r.permissions::text[], ''{}'') AS permissions FROM %I.roles r', schema_name);
    EXECUTE format('CREATE TEMP TABLE old_user_roles ON COMMIT DROP AS SELECT DISTINCT user_id::uuid, role_id::text FROM %I.user_roles', schema_name);
    CREATE TEMP TABLE old_users (id uuid, app_metadata jsonb) ON COMMIT DROP;
    IF users IS NULL THEN
        RAISE NOTICE 'table % does not exist: no operators, and users who are gone cannot be told', current_setting('migration.users');
        INSERT INTO old_users SELECT user_id FROM old_members UNION SELECT user_id FROM old_user_roles;
    ELSE
        EXECUTE format('INSERT INTO old_users SELECT id, coalesce(to_jsonb(u) -> ''raw_app_meta_data'', ''{}'') FROM %s u', users);
    END IF;
    -- The permissions there are: those of the enumerated type; where the column is text, those that roles hold.
    SELECT string_agg(format('(%L)', e.enumlabel), ', ') INTO labels
      FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid JOIN pg_enum e ON e.enumtypid = y.typelem
     WHERE a.attrelid = to_regclass(format('%I.roles', schema_name)) AND a.attname = 'permissions';
    CREATE TEMP TABLE old_permissions (name text) ON COMMIT DROP;
    IF labels IS NOT NULL THEN
        EXECUTE 'INSERT INTO old_permissions VALUES ' || labels;
    ELSE
        INSERT INTO old_permissions SELECT DISTINCT p FROM old_roles r, unnest(r.permissions) p WHERE p IS NOT NULL;
    END IF;
END
$$;
-- Rows that name nobody: where foreign keys were dropped, or never made.
DO $$
DECLARE
    orphans bigint;
    more bigint;
BEGIN
    DELETE FROM old_members m WHERE NOT EXISTS (SELECT FROM old_users u WHERE u.id = m.user_id) OR NOT EXISTS (SELECT FROM old_tenants t WHERE t.id = m.tenant_id);
    GET DIAGNOSTICS orphans = ROW_COUNT;
    DELETE FROM old_roles r WHERE NOT EXISTS (SELECT FROM old_tenants t WHERE t.id = r.tenant_id);
    GET DIAGNOSTICS more = ROW_COUNT;
    orphans := orphans + more;
    DELETE FROM old_user_roles g WHERE NOT EXISTS (SELECT FROM old_users u WHERE u.id = g.user_id) OR NOT EXISTS (SELECT FROM old_roles r WHERE r.id = g.role_id);
    GET DIAGNOSTICS more = ROW_COUNT;
    orphans := orphans + more;
    IF orphans > 0 THEN
        RAISE NOTICE '% row(s) of users, tenants or roles that do not exist stay behind', orphans;
    END IF;
END
$$;

-- --- what the template answers -----------------------------------------------------------------
-- A token carries what all of a user's roles hold, of whatever tenant, and counts in the tenant it names. 'all' stands
-- for every permission.
CREATE TEMP TABLE token ON COMMIT DROP AS
SELECT DISTINCT g.user_id, m.tenant_id, p.name AS permission, r.tenant_id = m.tenant_id AS scoped
  FROM old_user_roles g JOIN old_roles r ON r.id = g.role_id JOIN old_members m ON m.user_id = g.user_id,
       LATERAL unnest(r.permissions) held JOIN old_permissions p ON held IN ('all', p.name)
 WHERE p.name <> 'all';

-- --- in our terms ------------------------------------------------------------------------------
-- Tenants are found again by their key, roles by an id that follows from the old one.
INSERT INTO wanted_tenant
SELECT coalesce((SELECT t.id FROM tenancy.tenants t WHERE t.key = o.id),
                md5(format('pg_tenancy %s.tenants %s', current_setting('migration.schema'), o.id))::uuid),
       o.id, coalesce(current_setting('migration.slug_map')::jsonb ->> o.name, o.name), o.name,
       CASE current_setting('migration.metadata') WHEN 'copy' THEN o.extra ELSE '{}' END
  FROM old_tenants o;
INSERT INTO wanted_permission
SELECT name, coalesce(current_setting('migration.permission_map')::jsonb ->> name, CASE name WHEN 'tenant_members.assign' THEN 'members.assign' ELSE name END)
  FROM old_permissions WHERE name <> 'all';
INSERT INTO wanted_role
SELECT md5(format('pg_tenancy %s.roles %s', current_setting('migration.schema'), r.id))::uuid, t.id,
       coalesce(current_setting('migration.role_map')::jsonb ->> r.name, r.name), r.notes
  FROM old_roles r JOIN wanted_tenant t ON t.key = r.tenant_id;
INSERT INTO wanted
SELECT 'member', t.id, m.user_id, NULL, NULL FROM old_members m JOIN wanted_tenant t ON t.key = m.tenant_id;
INSERT INTO wanted
SELECT DISTINCT 'role_permission', w.tenant_id, NULL::uuid, w.id, coalesce(p.name, held)
  FROM old_roles r JOIN wanted_role w ON w.id = md5(format('pg_tenancy %s.roles %s', current_setting('migration.schema'), r.id))::uuid,
       unnest(r.permissions) held LEFT JOIN wanted_permission p ON p.old = held
 WHERE held IS NOT NULL;
INSERT INTO wanted
SELECT 'member_role', w.tenant_id, g.user_id, w.id, NULL
  FROM old_user_roles g JOIN old_roles r ON r.id = g.role_id JOIN old_members m ON m.user_id = g.user_id AND m.tenant_id = r.tenant_id
  JOIN wanted_role w ON w.id = md5(format('pg_tenancy %s.roles %s', current_setting('migration.schema'), r.id))::uuid;
INSERT INTO wanted
SELECT 'operator', NULL, u.id, NULL, u.app_metadata ->> 'tenant_access' FROM old_users u WHERE u.app_metadata ->> 'tenant_access' IN ('read', 'write');
INSERT INTO wanted_choice
SELECT m.user_id, t.id FROM old_members m JOIN wanted_tenant t ON t.key = m.tenant_id JOIN old_users u ON u.id = m.user_id
 WHERE u.app_metadata ->> 'tenant_id' = m.tenant_id AND EXISTS (SELECT FROM old_members o WHERE o.user_id = m.user_id AND o.tenant_id <> m.tenant_id);

INSERT INTO answered
SELECT DISTINCT k.user_id, t.id, k.permission FROM token k JOIN wanted_tenant t ON t.key = k.tenant_id
 WHERE k.scoped OR current_setting('migration.strays') <> 'leave';
INSERT INTO answered SELECT user_id, tenant_id, '(member)' FROM wanted WHERE kind = 'member';
INSERT INTO answered SELECT user_id, NULL, '(operator ' || label || ')' FROM wanted WHERE kind = 'operator';

-- --- what cannot be mapped ---------------------------------------------------------------------
CREATE TEMP TABLE stray ON COMMIT DROP AS
SELECT user_id, tenant_id, permission FROM token WHERE NOT scoped EXCEPT SELECT user_id, tenant_id, permission FROM token WHERE scoped;
INSERT INTO refusal
SELECT 'users hold permissions in a tenant by roles of another one',
       format('user %s: %s in tenant "%s"', s.user_id, s.permission, t.name),
       'Give them roles of their own tenant in the template, or take the strays away; or leave them behind with -v strays=leave.'
  FROM stray s JOIN old_tenants t ON t.id = s.tenant_id
 WHERE current_setting('migration.strays') <> 'leave' AND current_setting('migration.only') = 'everything';
INSERT INTO refusal
SELECT 'claim tenant_access is neither read nor write', 'user ' || id, 'Set it to "read" or "write" in raw_app_meta_data, or take it away: the template lets any value read.'
  FROM old_users WHERE app_metadata ? 'tenant_access' AND app_metadata ->> 'tenant_access' IS DISTINCT FROM 'read' AND app_metadata ->> 'tenant_access' IS DISTINCT FROM 'write';
\ir from_template/refuse.sql

DO $$
DECLARE
    left_behind bigint := (SELECT count(*) FROM old_user_roles g JOIN old_roles r ON r.id = g.role_id
                            WHERE NOT EXISTS (SELECT FROM old_members m WHERE m.user_id = g.user_id AND m.tenant_id = r.tenant_id));
    stale bigint;
    names text;
BEGIN
    IF left_behind > 0 THEN
        RAISE NOTICE '% role(s) of users who are not in the role''s tenant stay behind', left_behind;
    END IF;
    IF EXISTS (SELECT FROM stray) THEN
        SELECT string_agg(DISTINCT user_id::text, ', ') INTO names FROM stray;
        RAISE NOTICE 'strays=leave: these users lose permissions they had by roles of other tenants: %', names;
    END IF;
    -- Tokens are made of the metadata, which the template's triggers keep, or somebody's hand.
    SELECT count(*) INTO stale FROM old_users u
     WHERE u.app_metadata ? 'perms' AND EXISTS (
           SELECT p FROM jsonb_array_elements_text(CASE jsonb_typeof(u.app_metadata -> 'perms') WHEN 'array' THEN u.app_metadata -> 'perms' ELSE '[]' END) p
           EXCEPT SELECT held FROM old_user_roles g JOIN old_roles r ON r.id = g.role_id, unnest(r.permissions) held WHERE g.user_id = u.id);
    IF stale > 0 AND current_setting('migration.only') = 'everything' THEN
        RAISE WARNING '% user(s) have perms in raw_app_meta_data that no role of theirs holds', stale
            USING HINT = 'Tables decide here, and those permissions are not migrated. The guide has a query that lists them.';
    END IF;
END
$$;
\ir from_template/finish.sql
