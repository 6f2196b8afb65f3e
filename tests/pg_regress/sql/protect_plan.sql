-- Threats 12 and 30: the plan is the one of a literal predicate, and neither leaky functions nor plans
-- prepared by somebody else see further.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA plan;
GRANT USAGE ON SCHEMA plan TO authenticated;
SET search_path = plan;
SET max_parallel_workers_per_gather = 0;
SET enable_bitmapscan = off;
\set a '''91000000-0000-0000-0000-00000000000a'''
\set alice '''91000000-0000-0000-0000-0000000000a1'''
\set bob '''91000000-0000-0000-0000-0000000000b1'''
INSERT INTO tenancy.tenants (id, slug, name)
SELECT ('91000000-0000-0000-0000-' || lpad(to_hex(g), 12, '0'))::uuid, 'plan-' || g, 'Plan ' || g FROM generate_series(1, 100) g;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, title text, secret text);
INSERT INTO docs
SELECT g, ('91000000-0000-0000-0000-' || lpad(to_hex(1 + (g - 1) / 200), 12, '0'))::uuid, 'title ' || g, 'secret ' || 1 + (g - 1) / 200
  FROM generate_series(1, 20000) g;
GRANT SELECT, UPDATE ON docs TO authenticated;
SELECT tenancy.protect_table('docs', resource => 'plan_docs');
ANALYZE docs;
SELECT FROM tenancy.create_role('plan_reader', '{plan_docs.read}');
SELECT tenancy.add_member(:a, :alice, '{plan_reader}'),
       tenancy.add_member('91000000-0000-0000-0000-00000000000b', :bob, '{plan_reader}');

-- a literal predicate, as a role that policies do not bind
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE tenant_id = :a;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
EXPLAIN (COSTS OFF) SELECT * FROM docs;
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs;
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE title LIKE 'title 1%';
EXPLAIN (COSTS OFF) UPDATE docs SET title = 'x';
SELECT count(*), min(id), max(id) FROM docs;
ROLLBACK;
SELECT count(*), min(id), max(id) FROM docs WHERE tenant_id = :a;

-- a leaky function, as cheap as can be, sees the rows that pass the policy and no others
CREATE FUNCTION leak(secret text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    PERFORM set_config('plan.seen', (current_setting('plan.seen', true)::bigint + 1)::text, true);
    IF secret <> 'secret 10' THEN
        RAISE WARNING 'leaked: %', secret;
    END IF;
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION leak(text) TO authenticated;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT set_config('plan.seen', '0', true);
SELECT count(*) FROM docs WHERE leak(secret);
SELECT count(*) FROM docs WHERE leak(secret) AND tenant_id <> :a;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
SELECT count(*) FROM docs WHERE leak(secret);
SELECT current_setting('plan.seen');
-- nor does an error give anything away
SELECT count(*) FROM docs WHERE 1 / (CASE secret WHEN 'secret 10' THEN 1 ELSE 0 END) = 1;
ROLLBACK;

-- a plan prepared under one role and identity, run under others (CVE-2024-10976)
SET plan_cache_mode = force_generic_plan;
PREPARE q AS SELECT count(*), min(secret), max(secret) FROM docs;
PREPARE cte AS WITH x AS MATERIALIZED (SELECT * FROM docs) SELECT count(*), min(secret) FROM x;
PREPARE sub AS SELECT (SELECT count(*) FROM docs), EXISTS (SELECT FROM docs WHERE secret = 'secret 11');
EXECUTE q;
EXECUTE cte;
EXECUTE sub;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
EXECUTE q;
EXECUTE cte;
EXECUTE sub;
RESET ROLE;
SELECT FROM tenancy.act_as(:bob);
EXECUTE q;
EXECUTE cte;
EXECUTE sub;
RESET ROLE;
SELECT FROM tenancy.act_as(NULL);
EXECUTE q;
EXECUTE cte;
EXECUTE sub;
ROLLBACK;
EXECUTE q;
DEALLOCATE ALL;
RESET plan_cache_mode;

-- ORDER BY with LIMIT over an index that does not start with the tenant gives the same rows
CREATE INDEX ON docs (title, tenant_id);
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT id, title FROM docs ORDER BY title LIMIT 3;
ROLLBACK;
SELECT id, title FROM docs WHERE tenant_id = :a ORDER BY title LIMIT 3;
DROP SCHEMA plan CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'plan-%';
