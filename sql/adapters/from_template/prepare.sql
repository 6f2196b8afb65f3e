-- Included by from_rbac_template.sql and from_workspace_template.sql: options, and the tables they fill, all of which
-- end with the transaction. What the template has is put into one form; apply.sql and check.sql know only that.
\set ON_ERROR_STOP on
\set QUIET on
\set SHOW_CONTEXT never
\if :{?users}
\else
    \set users auth.users
\endif
\if :{?only}
\else
    \set only everything
\endif
\if :{?permission_map}
\else
    \set permission_map '{}'
\endif
\if :{?slug_map}
\else
    \set slug_map '{}'
\endif
\if :{?role_map}
\else
    \set role_map '{}'
\endif
\if :{?strays}
\else
    \set strays refuse
\endif
\if :{?metadata}
\else
    \set metadata leave
\endif
\if :{?dry_run}
\else
    \set dry_run off
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
-- A policy that hid rows from whoever runs this would make half a migration: an error instead.
SET LOCAL row_security = off;
SELECT set_config('migration.schema', :'schema', true), set_config('migration.users', :'users', true),
       set_config('migration.only', :'only', true), set_config('migration.permission_map', :'permission_map', true),
       set_config('migration.slug_map', :'slug_map', true), set_config('migration.role_map', :'role_map', true),
       set_config('migration.strays', :'strays', true), set_config('migration.metadata', :'metadata', true),
       set_config('migration.source', :'source', true), set_config('request.jwt.claims', '', true) \g /dev/null

DO $$
DECLARE
    attached boolean := false;
BEGIN
    IF to_regclass('tenancy.tenants') IS NULL THEN
        RAISE EXCEPTION 'extension "pg_tenancy" is not installed in database "%"', current_database()
            USING ERRCODE = '55000', HINT = 'CREATE EXTENSION pg_tenancy;';
    END IF;
    IF tenancy.is_administrator() IS NOT TRUE THEN
        RAISE EXCEPTION 'permission denied to migrate' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    IF current_setting('migration.only') NOT IN ('everything', 'check')
       OR current_setting('migration.strays') NOT IN ('refuse', 'leave', 'admit')
       OR current_setting('migration.metadata') NOT IN ('leave', 'copy') THEN
        RAISE EXCEPTION 'invalid option' USING ERRCODE = '22023',
            HINT = 'Options are: -v only=check, -v strays=refuse|leave|admit, -v metadata=leave|copy, -v dry_run=on.';
    END IF;
    -- Answers come from the tables, whatever the server is set to.
    IF current_setting('tenancy.authority') <> 'tables' THEN
        SET LOCAL tenancy.authority = 'tables';
    END IF;
    IF to_regclass('tenancy.users_table') IS NOT NULL THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM tenancy.users_table)' INTO attached;
    END IF;
    IF attached AND current_setting('migration.only') = 'everything' THEN
        RAISE EXCEPTION 'a users table is attached already' USING ERRCODE = '55000',
            DETAIL = 'Claims are projected into it, so tokens follow schema tenancy and no longer the template.',
            HINT = 'Migrate before tenancy.attach_users(), or call tenancy.detach_users() first. To compare only: -v only=check.';
    END IF;
END
$$;

-- One state from here to the end: readers go on, writers wait.
LOCK TABLE tenancy.tenants, tenancy.members, tenancy.permissions, tenancy.roles, tenancy.role_permissions, tenancy.role_inheritance,
           tenancy.groups, tenancy.group_members, tenancy.group_roles, tenancy.member_roles, tenancy.operators IN SHARE ROW EXCLUSIVE MODE;

-- What is to be in schema tenancy. In `wanted` every row is one fact: a tenant, member, role, role_permission, member_role
-- or operator; the label is its slug, name, permission or access.
CREATE TEMP TABLE wanted_tenant (id uuid PRIMARY KEY, key text, slug text, name text, metadata jsonb) ON COMMIT DROP;
CREATE TEMP TABLE wanted_permission (old text PRIMARY KEY, name text) ON COMMIT DROP;
CREATE TEMP TABLE wanted_role (id uuid PRIMARY KEY, tenant_id uuid, name text, description text) ON COMMIT DROP;
CREATE TEMP TABLE wanted (kind text, tenant_id uuid, user_id uuid, role_id uuid, label text) ON COMMIT DROP;
-- The tenant each user of several works in, as his metadata says.
CREATE TEMP TABLE wanted_choice (user_id uuid PRIMARY KEY, tenant_id uuid) ON COMMIT DROP;
-- What the template answers yes to; '(member)' and '(operator …)' stand beside the permissions.
CREATE TEMP TABLE answered (user_id uuid, tenant_id uuid, permission text) ON COMMIT DROP;
-- The same where the template's answer cannot be had here, and what cannot be mapped.
CREATE TEMP TABLE refusal (problem text, what text, hint text) ON COMMIT DROP;
