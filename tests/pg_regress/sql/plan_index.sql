-- Which index can be searched by the user's set of tenants, which cannot, and that the rows are right either way.
-- Threats 12 and 30.
SET client_min_messages = warning;
CREATE EXTENSION btree_gist;
CREATE EXTENSION btree_gin;
CREATE SCHEMA plan_index;
GRANT USAGE ON SCHEMA plan_index TO authenticated;
SET search_path = plan_index;
SET max_parallel_workers_per_gather = 0;
SET random_page_cost = 1.1;
\set alice '''92000000-0000-0000-0000-0000000000a1'''
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('92000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO tenancy.tenants (id, slug, name) SELECT t(n), 'plan-index-' || n, 'T' FROM generate_series(1, 40) n;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid NOT NULL, owner_id uuid, made date NOT NULL, title text, secret int);
-- In the order of tenants, so that a BRIN index has something to tell apart.
INSERT INTO docs
SELECT n, t(1 + (n - 1) / 200), CASE n % 50 WHEN 0 THEN :alice::uuid END, date '2026-01-01' + n * 7919 % 400, 'd' || n, (n - 1) / 200
  FROM generate_series(1, 8000) n;
CREATE TABLE base AS SELECT * FROM docs;
GRANT SELECT, UPDATE, DELETE ON docs TO authenticated;
-- Alice is a member of 2, 3 and 4, may read in 2 and 3, and edit in 3.
SELECT tenancy.protect_table('docs', resource => 'plan_docs', mode => 'membership');
SELECT tenancy.create_role('plan_index_reader', '{plan_docs.read}') IS NOT NULL, tenancy.create_role('plan_index_editor', '{plan_docs.*}') IS NOT NULL;
SELECT tenancy.add_member(t(2), :alice, '{plan_index_reader}'), tenancy.add_member(t(3), :alice, '{plan_index_editor}'),
       tenancy.add_member(t(4), :alice);
DROP INDEX docs_tenant_id_idx;
VACUUM ANALYZE docs;
-- From here to the end of the transaction, alice through an application role.
CREATE PROCEDURE be_alice() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.act_as('92000000-0000-0000-0000-0000000000a1');
END $$;
-- Whether a plan searches an index by a set of tenants, and the node that does; ours are the only arrays asked about.
CREATE FUNCTION searched(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
    RETURN coalesce((SELECT string_agg(DISTINCT format('%s: %s', n ->> 'Node Type', n ->> 'Index Cond'), '; ')
                       FROM jsonb_path_query(plan::jsonb, '$.** ? (@."Index Cond" like_regex "tenant_ids")') n), 'no index');
END $$;

-- One kind of index after another, searched where that is safe, and always the rows of plain SQL.
CREATE PROCEDURE try_kinds() LANGUAGE plpgsql AS $$
DECLARE
    kind text;
    q text;
    plan text;
    ours int[];
    plain int[];
    planner text;
    different int;
BEGIN
    FOREACH kind IN ARRAY ARRAY['btree (tenant_id)', 'btree (tenant_id, made)', 'btree (tenant_id) INCLUDE (id)',
            'btree (tenant_id) WHERE made >= ''2026-01-01''', 'btree (tenant_id) WHERE id > 0', 'brin (tenant_id)',
            'brin (made, tenant_id)', 'btree ((tenant_id::text))', 'btree ((tenant_id), id)',
            'gin (tenant_id)', 'gin (made, tenant_id)',
            'hash (tenant_id)', 'gist (tenant_id)', 'gist (made, tenant_id)', 'btree (made, tenant_id)',
            'btree (tenant_id DESC NULLS LAST, made DESC)'] LOOP
        EXECUTE 'CREATE INDEX tried ON docs USING ' || kind;
        PERFORM set_config('enable_seqscan', 'off', true);
        CALL be_alice();
        plan := searched('SELECT * FROM docs WHERE id > 0');
        RESET ROLE;
        different := 0;
        FOREACH q IN ARRAY ARRAY['SELECT array_agg(id ORDER BY id) FROM {}',
                'SELECT array_agg(id) FROM (SELECT id FROM {} WHERE id > 0 ORDER BY made, id LIMIT 30) x',
                'SELECT array_agg(id) FROM (SELECT id FROM {} ORDER BY made DESC, id LIMIT 30 OFFSET 7) x',
                'SELECT array_agg(id) FROM (SELECT id FROM {} ORDER BY tenant_id DESC, made, id LIMIT 300) x',
                'SELECT array_agg(id ORDER BY id) FROM {} WHERE made BETWEEN ''2026-02-01'' AND ''2026-02-20''',
                'SELECT array_agg(id ORDER BY id) FROM {} WHERE tenant_id::text LIKE ''%3''',
                'SELECT array_agg(n ORDER BY n) FROM (SELECT count(*)::int AS n FROM {} GROUP BY tenant_id) x'] LOOP
            FOREACH planner IN ARRAY ARRAY['enable_seqscan', 'enable_indexscan', 'enable_bitmapscan', 'enable_sort'] LOOP
                PERFORM set_config('enable_seqscan', 'on', true), set_config(planner, 'off', true);
                CALL be_alice();
                EXECUTE replace(q, '{}', 'docs') INTO ours;
                RESET ROLE;
                EXECUTE replace(q, '{}', '(SELECT * FROM base WHERE tenant_id IN (t(2), t(3))) b') INTO plain;
                PERFORM set_config(planner, 'on', true);
                IF ours IS DISTINCT FROM plain THEN
                    different := different + 1;
                    RAISE WARNING '% is off, index %, differs: %', planner, kind, q;
                END IF;
            END LOOP;
        END LOOP;
        -- From 17 on a later column may be searched as well.
        IF kind ~ '^(btree|brin|gin) .made, tenant_id' AND current_setting('server_version_num')::int >= 170000 THEN
            plan := 'no index';
        END IF;
        RAISE WARNING '%: % different | %', kind, different, plan;
        DROP INDEX tried;
    END LOOP;
END $$;
\set VERBOSITY terse
CALL try_kinds();
\set VERBOSITY default

-- The plans themselves: no filter says twice what the index was searched by, and no subplan or function runs per row.
CREATE INDEX docs_tenant ON docs (tenant_id, made);
BEGIN;
CALL be_alice();
EXPLAIN (COSTS OFF) SELECT * FROM docs;
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs WHERE made = '2026-02-01';
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM docs;
EXPLAIN (COSTS OFF) SELECT tenant_id, made FROM docs;
EXPLAIN (COSTS OFF) UPDATE docs SET title = title;
-- An equality beside says more than the set.
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE tenant_id = '92000000-0000-0000-0000-000000000003';
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE tenant_id IN ('92000000-0000-0000-0000-000000000003', '92000000-0000-0000-0000-000000000005');
-- Limits of the set.
SET LOCAL tenancy.index_max_set = 0;
SELECT searched('SELECT * FROM docs'), count(*) FROM docs;
SET LOCAL tenancy.index_max_set = 1;
SELECT searched('SELECT * FROM docs'), count(*) FROM docs;
SET LOCAL tenancy.index_max_set = 2;
SELECT searched('SELECT * FROM docs'), count(*) FROM docs;
COMMIT;

-- Several predicates on one column: the smallest set searches, and is_member last among equals.
BEGIN;
CALL be_alice();
RESET ROLE;
SET LOCAL enable_seqscan = off;
CREATE FUNCTION pg_temp.both(where_clause text) RETURNS TABLE (condition text, rows int, plain int) LANGUAGE plpgsql AS $$
BEGIN
    -- 17 writes the result of a subquery otherwise.
    condition := replace(plan_index.searched('SELECT * FROM docs WHERE ' || where_clause), '$0', '(InitPlan 1).col1');
    EXECUTE 'SELECT count(*) FROM docs WHERE ' || where_clause INTO rows;
    -- OFFSET 0 keeps the planner from pushing anything down to the index.
    EXECUTE 'SELECT count(*) FROM (SELECT * FROM docs OFFSET 0) d WHERE ' || where_clause INTO plain;
    RETURN NEXT;
END $$;
SELECT n, b.* FROM (VALUES
    (1, 'tenancy.is_member(tenant_id)'),
    (2, 'tenancy.is_member(tenant_id) AND tenancy.has_permission(tenant_id, ''plan_docs.read'')'),
    (3, 'tenancy.has_permission(tenant_id, ''plan_docs.read'') AND tenancy.has_permission(tenant_id, ''plan_docs.update'')'),
    (4, 'tenancy.has_permission(tenant_id, ''plan_docs.update'') AND tenancy.has_permission(tenant_id, ''plan_docs.read'')'),
    (5, 'tenancy.has_any_permission(tenant_id, ''{plan_docs.read, plan_docs.update}'')'),
    (6, 'tenancy.has_all_permissions(tenant_id, ''{plan_docs.read, plan_docs.update}'')'),
    (7, 'tenancy.has_all_permissions(tenant_id, ''{plan_docs.read}'') AND tenancy.has_any_permission(tenant_id, ''{plan_docs.update}'')'),
    (8, 'tenancy.has_all_permissions(tenant_id, ''{}'')'),
    (9, 'tenancy.has_any_permission(tenant_id, ''{}'')'),
    (10, 'tenancy.has_permission(tenant_id, NULL)'),
    (11, 'tenancy.has_any_permission(tenant_id, NULL)'),
    (12, 'tenancy.has_any_permission(tenant_id, ARRAY[NULL, ''plan_docs.update''])'),
    (13, 'tenancy.has_all_permissions(tenant_id, ARRAY[NULL, ''plan_docs.update''])'),
    (14, 'tenancy.has_permission(tenant_id, ''never.registered'')'),
    (15, 'tenancy.has_permission(tenant_id, '''')'),
    (16, 'tenancy.has_permission(tenant_id, title)'),
    (17, 'tenancy.has_permission(tenant_id, (SELECT ''plan_docs.update''))'),
    (18, 'tenancy.has_permission(tenant_id, CASE WHEN random() < 2 THEN ''plan_docs.update'' END)'),
    (19, 'NOT tenancy.is_member(tenant_id)'),
    (20, 'tenancy.is_member(tenant_id) IS NOT TRUE'),
    (21, 'tenancy.is_member(tenant_id) OR tenancy.has_permission(tenant_id, ''plan_docs.update'')'),
    (22, 'tenancy.is_member(tenant_id) OR id = 1'),
    (23, 'tenancy.can_see_tenant(tenant_id)'),
    (24, 'tenancy.has_role(tenant_id, ''plan_index_editor'')'),
    (25, 'tenancy.is_member(owner_id)'),
    (26, 'tenancy.has_permission(permission => ''plan_docs.update'', tenant => tenant_id)'),
    (27, 'tenancy.is_member(tenant_id) = true AND tenancy.is_member(coalesce(tenant_id, owner_id))')
  ) v (n, w), pg_temp.both(w) b ORDER BY n;
COMMIT;

DROP SCHEMA plan_index CASCADE;
DELETE FROM tenancy.roles WHERE name LIKE 'plan\_index%';
DELETE FROM tenancy.permissions WHERE name LIKE 'plan\_docs.%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'plan-index-%';
DROP EXTENSION btree_gist;
DROP EXTENSION btree_gin;
