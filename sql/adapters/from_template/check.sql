-- Included: asks schema tenancy, as each user, what the template answered, and raises unless all answers are the same.
CREATE TEMP TABLE answers_now (user_id uuid, tenant_id uuid, permission text) ON COMMIT DROP;
CREATE TEMP TABLE asked ON COMMIT DROP AS
SELECT user_id FROM answered UNION SELECT user_id FROM wanted WHERE user_id IS NOT NULL
UNION SELECT m.user_id FROM tenancy.members m JOIN wanted_tenant t ON t.id = m.tenant_id;

DO $$
DECLARE
    who uuid;
BEGIN
    FOR who IN SELECT user_id FROM asked LOOP
        -- The token of a request; the functions answer from the tables, for whoever the token names.
        PERFORM set_config('request.jwt.claims', json_build_object('sub', who, 'exp', 32503680000)::text, true);
        INSERT INTO answers_now
        SELECT who, t, p.name FROM (SELECT DISTINCT name FROM wanted_permission) p, unnest(tenancy.tenant_ids_with(p.name)) t
        UNION ALL SELECT who, t, '(member)' FROM unnest(tenancy.tenant_ids()) t
        UNION ALL SELECT who, NULL, '(operator ' || tenancy.operator_access() || ')' WHERE tenancy.operator_access() IS NOT NULL;
    END LOOP;
    PERFORM set_config('request.jwt.claims', '', true);
    -- Other tenants have nothing to do with the template.
    DELETE FROM answers_now a WHERE a.tenant_id IS NOT NULL AND NOT EXISTS (SELECT FROM wanted_tenant t WHERE t.id = a.tenant_id);
END
$$;

DO $$
DECLARE
    found record;
    users bigint;
    answers bigint;
BEGIN
    -- By the template's names: two of them that became one here would show.
    WITH after AS (
        SELECT a.user_id, a.tenant_id, coalesce(p.old, a.permission) AS permission
          FROM answers_now a LEFT JOIN wanted_permission p ON p.name = a.permission
    ), different AS (
        SELECT 'lost' AS what, d.* FROM (SELECT * FROM answered EXCEPT SELECT * FROM after) d
        UNION ALL
        SELECT 'gained', d.* FROM (SELECT * FROM after EXCEPT SELECT * FROM answered) d
    ), listed AS (
        SELECT format('user %s %s %s%s', d.user_id, d.what, d.permission, ' in ' || t.slug) AS line, row_number() OVER (ORDER BY d.user_id, t.slug, d.permission) AS n
          FROM different d LEFT JOIN wanted_tenant t ON t.id = d.tenant_id
    )
    SELECT count(*) AS total, string_agg(line, E'\n' ORDER BY n) FILTER (WHERE n <= 50) AS list INTO found FROM listed;
    IF found.total > 0 THEN
        RAISE EXCEPTION '% answer(s) differ from the template''s', found.total USING ERRCODE = '55000',
            DETAIL = found.list || CASE WHEN found.total > 50 THEN E'\n…' ELSE '' END,
            HINT = 'Nothing was changed. "lost": the template says yes and tenancy no; "gained": the other way round. SELECT * FROM tenancy.diagnose() as that user shows why.';
    END IF;
    SELECT count(*) INTO users FROM asked;
    SELECT count(*) INTO answers FROM (SELECT DISTINCT * FROM answered) a;
    RAISE NOTICE 'checked: % users, % tenants, % permissions; the same % answers are yes, all others no', users,
        (SELECT count(*) FROM wanted_tenant), (SELECT count(*) FROM wanted_permission), answers;
END
$$;
