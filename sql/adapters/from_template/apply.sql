-- Included: makes schema tenancy hold what `wanted` says. Until the switch-over the template decides: what is new there
-- is added, what is gone there is taken away, and what somebody took away here meanwhile is an error.

DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT problem, string_agg(what, '; ' ORDER BY what COLLATE "C") FILTER (WHERE n <= 20) AS list, count(*) AS total, min(hint) AS hint
               FROM (SELECT *, row_number() OVER (PARTITION BY problem ORDER BY what COLLATE "C") AS n FROM refusal) f
              GROUP BY problem ORDER BY problem LIMIT 1 LOOP
        RAISE EXCEPTION '%', r.problem USING ERRCODE = '55000',
            DETAIL = format('%s case(s): %s%s', r.total, r.list, CASE WHEN r.total > 20 THEN '; …' ELSE '.' END), HINT = r.hint;
    END LOOP;
END
$$;

-- What the last run wrote, so that this one can tell who changed what since.
DO $$
BEGIN
    IF to_regclass('tenancy_migration.facts') IS NULL THEN
        CREATE SCHEMA tenancy_migration;
        CREATE TABLE tenancy_migration.facts (
            source text NOT NULL, kind text NOT NULL, tenant_id uuid, user_id uuid, role_id uuid, label text
        );
        COMMENT ON SCHEMA tenancy_migration IS 'What pg_tenancy''s migration scripts wrote; drop it once the template is gone';
        COMMENT ON TABLE tenancy_migration.facts IS 'What the last run of a migration script wrote into schema tenancy';
        ALTER TABLE tenancy_migration.facts ENABLE ROW LEVEL SECURITY;
        REVOKE ALL ON SCHEMA tenancy_migration FROM PUBLIC;
    END IF;
END
$$;

CREATE TEMP TABLE written ON COMMIT DROP AS
SELECT kind, tenant_id, user_id, role_id, label FROM tenancy_migration.facts WHERE source = current_setting('migration.source');

INSERT INTO wanted SELECT 'tenant', id, NULL, NULL, slug FROM wanted_tenant;
INSERT INTO wanted SELECT 'role', tenant_id, NULL, id, name FROM wanted_role;
ANALYZE wanted;
CREATE TEMP VIEW held AS
SELECT 'tenant' AS kind, t.id AS tenant_id, NULL::uuid AS user_id, NULL::uuid AS role_id, t.slug AS label FROM tenancy.tenants t
UNION ALL SELECT 'member', m.tenant_id, m.user_id, NULL, NULL FROM tenancy.members m WHERE m.status = 'active'
UNION ALL SELECT 'role', r.tenant_id, NULL, r.id, r.name FROM tenancy.roles r WHERE r.tenant_id IS NOT NULL
UNION ALL SELECT 'role_permission', r.tenant_id, NULL, r.id, p.permission FROM tenancy.role_permissions p JOIN tenancy.roles r ON r.id = p.role_id
UNION ALL SELECT 'member_role', g.tenant_id, g.user_id, g.role_id, NULL FROM tenancy.member_roles g WHERE g.expires_at IS NULL
UNION ALL SELECT 'operator', NULL, o.user_id, NULL, o.access FROM tenancy.operators o WHERE o.expires_at IS NULL;

DO $$
DECLARE
    taken record;
    added bigint := 0;
    removed bigint := 0;
    changed bigint;
    gone record;
    choices bigint := 0;
BEGIN
    SELECT count(*) AS total, string_agg(what, '; ') FILTER (WHERE n <= 20) AS list INTO taken FROM (
        SELECT concat_ws(' ', kind, label, 'user ' || user_id, 'role ' || role_id, 'tenant ' || tenant_id) AS what, row_number() OVER () AS n
          FROM (SELECT * FROM wanted INTERSECT SELECT * FROM written EXCEPT SELECT * FROM held) t
         ORDER BY kind, tenant_id, user_id, role_id, label) t;
    IF taken.total > 0 THEN
        RAISE EXCEPTION 'what an earlier run migrated was taken away in schema tenancy since' USING ERRCODE = '55000',
            DETAIL = format('%s case(s): %s%s', taken.total, taken.list, CASE WHEN taken.total > 20 THEN '; …' ELSE '.' END),
            HINT = 'Until the switch-over the template decides: take it away there as well. To have it put back here, DELETE FROM tenancy_migration.facts; first.';
    END IF;

    -- Gone from the template. What hangs on a tenant, role or member goes with it.
    CREATE TEMP TABLE outdated ON COMMIT DROP AS SELECT * FROM written INTERSECT SELECT * FROM held EXCEPT SELECT * FROM wanted;
    DELETE FROM tenancy.member_roles g USING outdated o
     WHERE o.kind = 'member_role' AND (g.tenant_id, g.user_id, g.role_id) = (o.tenant_id, o.user_id, o.role_id);
    DELETE FROM tenancy.role_permissions p USING outdated o
     WHERE o.kind = 'role_permission' AND (p.role_id, p.permission) = (o.role_id, o.label);
    DELETE FROM tenancy.members m USING outdated o WHERE o.kind = 'member' AND (m.tenant_id, m.user_id) = (o.tenant_id, o.user_id);
    DELETE FROM tenancy.roles r USING outdated o
     WHERE o.kind = 'role' AND r.id = o.role_id AND NOT EXISTS (SELECT FROM wanted_role w WHERE w.id = r.id);
    DELETE FROM tenancy.operators p USING outdated o WHERE o.kind = 'operator' AND (p.user_id, p.access) = (o.user_id, o.label);
    FOR gone IN SELECT o.tenant_id FROM outdated o
                 WHERE o.kind = 'tenant' AND NOT EXISTS (SELECT FROM wanted_tenant w WHERE w.id = o.tenant_id) LOOP
        PERFORM tenancy.drop_tenant(gone.tenant_id);
    END LOOP;
    SELECT count(*) INTO removed FROM outdated;

    CREATE TEMP TABLE missing ON COMMIT DROP AS SELECT * FROM wanted EXCEPT SELECT * FROM held;
    SELECT count(*) INTO added FROM missing;
    INSERT INTO tenancy.permissions (name) SELECT DISTINCT name FROM wanted_permission
    ON CONFLICT (name) DO NOTHING;
    GET DIAGNOSTICS changed = ROW_COUNT;
    added := added + changed;
    -- Renamed there: renamed here.
    INSERT INTO tenancy.tenants AS t (id, key, slug, name, metadata)
    SELECT w.id, w.key, w.slug, w.name, w.metadata FROM wanted_tenant w JOIN missing m ON m.kind = 'tenant' AND m.tenant_id = w.id
    ON CONFLICT (id) DO UPDATE SET slug = excluded.slug, name = excluded.name;
    INSERT INTO tenancy.roles AS r (id, tenant_id, name, description)
    SELECT w.id, w.tenant_id, w.name, w.description FROM wanted_role w JOIN missing m ON m.kind = 'role' AND m.role_id = w.id
    ON CONFLICT (id) DO UPDATE SET name = excluded.name;
    INSERT INTO tenancy.role_permissions (role_id, permission) SELECT role_id, label FROM missing WHERE kind = 'role_permission';
    INSERT INTO tenancy.members (tenant_id, user_id) SELECT tenant_id, user_id FROM missing WHERE kind = 'member'
    ON CONFLICT (tenant_id, user_id) DO NOTHING;
    INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT tenant_id, user_id, role_id FROM missing WHERE kind = 'member_role'
    ON CONFLICT (tenant_id, user_id, role_id) DO NOTHING;
    INSERT INTO tenancy.operators (user_id, access, reason)
    SELECT user_id, label, 'claim tenant_access of the template' FROM missing WHERE kind = 'operator'
    ON CONFLICT (user_id) DO NOTHING;
    IF to_regclass('tenancy.active_tenants') IS NOT NULL THEN
        EXECUTE 'INSERT INTO tenancy.active_tenants (user_id, tenant_id) SELECT user_id, tenant_id FROM wanted_choice ON CONFLICT (user_id) DO NOTHING';
        GET DIAGNOSTICS choices = ROW_COUNT;
        added := added + choices;
    END IF;

    IF added + removed > 0 OR EXISTS (SELECT * FROM written EXCEPT SELECT * FROM wanted) OR EXISTS (SELECT * FROM wanted EXCEPT SELECT * FROM written) THEN
        DELETE FROM tenancy_migration.facts WHERE source = current_setting('migration.source');
        INSERT INTO tenancy_migration.facts SELECT current_setting('migration.source'), w.* FROM wanted w;
    END IF;
    IF added + removed = 0 THEN
        RAISE NOTICE 'nothing to migrate: schema tenancy holds all of it';
    ELSE
        RAISE NOTICE 'migrated: % added, % removed', added, removed;
    END IF;
END
$$;
DROP VIEW held;
