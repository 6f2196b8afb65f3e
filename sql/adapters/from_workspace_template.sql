-- Moves what "Multi-Tenant Scalable Architecture with Supabase" keeps (workspaces, workspace_users,
-- workspace_user_permissions) into schema tenancy, and checks that every user may do exactly what he could. The
-- template's tables are only read. docs/guides/from_workspace_template.md tells the whole way. Run by an administrator
-- with psql, as often as one likes until the switch-over; one transaction, nothing half done:
--
--     psql -d app -f from_workspace_template.sql
--
-- Options, each as -v name=value:
--   schema=base           where the template's tables are
--   users=auth.users      the users' table, with raw_app_meta_data
--   dry_run=on            do all of it, say what came of it, and roll back
--   only=check            compare what is there now
--   permission_map='{"all": "everything.do"}'   names that have to change
--   slug_map='{"Old_Slug": "old-slug"}'         the same for workspaces
--   strays=refuse         permissions in a workspace the user is not in, which the template's hook hands out all the same:
--                         leave them behind, or admit the user to the workspace
--   metadata=leave        copy: extra_data becomes the tenants' metadata, which every member can read
\if :{?schema}
\else
    \set schema base
\endif
\set source workspace
\ir from_template/prepare.sql

-- --- the template's tables, as they are now ----------------------------------------------------
DO $$
DECLARE
    schema_name text := current_setting('migration.schema');
    users regclass := to_regclass(current_setting('migration.users'));
    t text;
BEGIN
    FOREACH t IN ARRAY '{workspaces,workspace_users,workspace_user_permissions}'::text[] LOOP
        IF to_regclass(format('%I.%I', schema_name, t)) IS NULL THEN
            RAISE EXCEPTION 'table %.% does not exist', schema_name, t USING ERRCODE = '42P01',
                HINT = 'Name the schema of the template''s tables: -v schema=….';
        END IF;
        EXECUTE format('LOCK TABLE %I.%I IN SHARE MODE', schema_name, t);
    END LOOP;
    EXECUTE format('CREATE TEMP TABLE old_workspaces ON COMMIT DROP AS SELECT w.id::uuid, w.name::text, w.slug::text, to_jsonb(w) -> ''extra_data'' AS extra FROM %I.workspaces w', schema_name);
    EXECUTE format('CREATE TEMP TABLE old_members ON COMMIT DROP AS SELECT DISTINCT workspace_id::uuid, user_id::uuid FROM %I.workspace_users', schema_name);
    EXECUTE format('CREATE TEMP TABLE old_held ON COMMIT DROP AS SELECT DISTINCT p.workspace_id::uuid, p.user_id::uuid, held::text AS permission FROM %I.workspace_user_permissions p, unnest(p.permissions) held WHERE held IS NOT NULL', schema_name);
    CREATE TEMP TABLE old_users (id uuid, app_metadata jsonb) ON COMMIT DROP;
    IF users IS NULL THEN
        RAISE NOTICE 'table % does not exist: users who are gone cannot be told', current_setting('migration.users');
        INSERT INTO old_users SELECT user_id FROM old_members UNION SELECT user_id FROM old_held;
    ELSE
        EXECUTE format('INSERT INTO old_users SELECT id, coalesce(to_jsonb(u) -> ''raw_app_meta_data'', ''{}'') FROM %s u', users);
    END IF;
END
$$;
-- Users who cannot log in, for they are in the template's users only, and rows without a workspace.
DO $$
DECLARE
    orphans bigint;
    more bigint;
BEGIN
    DELETE FROM old_members m WHERE NOT EXISTS (SELECT FROM old_users u WHERE u.id = m.user_id) OR NOT EXISTS (SELECT FROM old_workspaces w WHERE w.id = m.workspace_id);
    GET DIAGNOSTICS orphans = ROW_COUNT;
    DELETE FROM old_held h WHERE NOT EXISTS (SELECT FROM old_users u WHERE u.id = h.user_id) OR NOT EXISTS (SELECT FROM old_workspaces w WHERE w.id = h.workspace_id);
    GET DIAGNOSTICS more = ROW_COUNT;
    IF orphans + more > 0 THEN
        RAISE NOTICE '% membership(s) and permission(s) of users or workspaces that do not exist stay behind', orphans + more;
    END IF;
END
$$;
CREATE TEMP TABLE stray ON COMMIT DROP AS
SELECT DISTINCT h.workspace_id, h.user_id FROM old_held h
 WHERE NOT EXISTS (SELECT FROM old_members m WHERE m.workspace_id = h.workspace_id AND m.user_id = h.user_id);
INSERT INTO old_members SELECT workspace_id, user_id FROM stray WHERE current_setting('migration.strays') = 'admit';

-- --- what the template answers -----------------------------------------------------------------
-- The hook puts a user's permissions in the workspace that his metadata names into the token, and they are names: there
-- are no wildcards.
INSERT INTO answered
SELECT user_id, workspace_id, permission FROM old_held h
 WHERE current_setting('migration.strays') <> 'leave' OR EXISTS (SELECT FROM old_members m WHERE m.workspace_id = h.workspace_id AND m.user_id = h.user_id);
INSERT INTO answered SELECT user_id, workspace_id, '(member)' FROM old_members;

-- --- in our terms ------------------------------------------------------------------------------
INSERT INTO wanted_tenant
SELECT id, NULL, coalesce(current_setting('migration.slug_map')::jsonb ->> slug, slug), name,
       CASE WHEN current_setting('migration.metadata') = 'leave' OR coalesce(extra, 'null') = 'null' THEN '{}'
            WHEN jsonb_typeof(extra) = 'object' THEN extra ELSE jsonb_build_object('extra_data', extra) END
  FROM old_workspaces;
INSERT INTO wanted_permission
SELECT DISTINCT permission, coalesce(current_setting('migration.permission_map')::jsonb ->> permission, permission) FROM old_held;
-- The template has no roles. Members of a workspace who hold the same get one role, named for what it holds.
CREATE TEMP TABLE held_set ON COMMIT DROP AS
SELECT h.workspace_id, h.user_id, string_agg(DISTINCT p.name, ', ' ORDER BY p.name) AS names, array_agg(DISTINCT p.name) AS permissions
  FROM old_held h JOIN wanted_permission p ON p.old = h.permission
  JOIN old_members m ON m.workspace_id = h.workspace_id AND m.user_id = h.user_id
 GROUP BY h.workspace_id, h.user_id;
ALTER TABLE held_set ADD COLUMN role_id uuid;
UPDATE held_set SET role_id = md5(format('pg_tenancy %s %s', workspace_id, names))::uuid;
INSERT INTO wanted_role
SELECT DISTINCT role_id, workspace_id, CASE WHEN length(names) <= 63 THEN names ELSE 'permissions ' || left(role_id::text, 8) END,
       'Migrated from workspace_user_permissions'
  FROM held_set;
INSERT INTO wanted SELECT 'member', workspace_id, user_id, NULL, NULL FROM old_members;
INSERT INTO wanted SELECT DISTINCT 'role_permission', workspace_id, NULL::uuid, role_id, p FROM held_set, unnest(permissions) p;
INSERT INTO wanted SELECT 'member_role', workspace_id, user_id, role_id, NULL FROM held_set;
INSERT INTO wanted_choice
SELECT m.user_id, m.workspace_id FROM old_members m JOIN old_users u ON u.id = m.user_id
 WHERE u.app_metadata ->> 'workspace_id' = m.workspace_id::text
   AND EXISTS (SELECT FROM old_members o WHERE o.user_id = m.user_id AND o.workspace_id <> m.workspace_id);

-- --- what cannot be mapped ---------------------------------------------------------------------
INSERT INTO refusal
SELECT 'users hold permissions in a workspace they are not in', format('user %s in "%s"', s.user_id, w.slug),
       'Add them to workspace_users or take the permissions away; or -v strays=admit to make them members, -v strays=leave to leave the permissions behind.'
  FROM stray s JOIN old_workspaces w ON w.id = s.workspace_id
 WHERE current_setting('migration.strays') = 'refuse' AND current_setting('migration.only') = 'everything';
\ir from_template/refuse.sql

DO $$
DECLARE
    names text;
    elsewhere bigint;
BEGIN
    IF EXISTS (SELECT FROM stray) AND current_setting('migration.strays') <> 'refuse' THEN
        SELECT string_agg(DISTINCT user_id::text, ', ') INTO names FROM stray;
        RAISE NOTICE 'strays=%: permissions in a workspace the user was not in: %', current_setting('migration.strays'), names;
    END IF;
    -- Names of ours are rights in schema tenancy too.
    SELECT string_agg(DISTINCT p.old, ', ') INTO names FROM wanted_permission p JOIN tenancy.permissions b ON b.name = p.name AND b.builtin;
    IF names IS NOT NULL THEN
        RAISE WARNING 'these permissions also let their holders manage schema tenancy: %', names
            USING HINT = 'If they mean something else in your application, give them other names with -v permission_map.';
    END IF;
    SELECT count(*) INTO elsewhere FROM old_users u
     WHERE u.app_metadata ->> 'workspace_id' IS NOT NULL AND NOT EXISTS (SELECT FROM old_members m WHERE m.user_id = u.id AND m.workspace_id::text = u.app_metadata ->> 'workspace_id');
    IF elsewhere > 0 THEN
        RAISE WARNING '% user(s) have a workspace_id in raw_app_meta_data of a workspace they are not in', elsewhere
            USING HINT = 'Here only members reach rows of a tenant. The guide has a query that lists them.';
    END IF;
END
$$;
\ir from_template/finish.sql
