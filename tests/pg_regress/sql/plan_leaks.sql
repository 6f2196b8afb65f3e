-- Threat 12 in plans that search an index by the user's set: what a user writes into a query neither sees rows before
-- the policies have, nor takes the index away, nor stands in for a policy.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA plan_leaks;
GRANT USAGE ON SCHEMA plan_leaks TO authenticated;
SET search_path = plan_leaks;
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;
\set alice '''93000000-0000-0000-0000-0000000000a1'''
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('93000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO tenancy.tenants (id, slug, name) SELECT t(n), 'plan-leaks-' || n, 'T' FROM generate_series(1, 40) n;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid NOT NULL, owner_id uuid, secret int);
INSERT INTO docs SELECT n, t(1 + n % 40), CASE WHEN n % 3 = 0 THEN :alice::uuid END, n % 40 FROM generate_series(1, 8000) n;
GRANT SELECT, UPDATE, DELETE ON docs TO authenticated;
SELECT tenancy.protect_table('docs', resource => 'plan_docs', mode => 'membership');
SELECT tenancy.create_role('plan_leaks_reader', '{plan_docs.read, plan_docs.update}') IS NOT NULL;
-- Alice may read in 2 and 3 and is merely a member of 4.
SELECT tenancy.add_member(t(2), :alice, '{plan_leaks_reader}'), tenancy.add_member(t(3), :alice, '{plan_leaks_reader}'),
       tenancy.add_member(t(4), :alice);
VACUUM ANALYZE docs;
-- As cheap as can be, it says what it is shown of others.
CREATE FUNCTION leak(secret int) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    IF secret NOT IN (1, 2) THEN
        RAISE WARNING 'leaked: %', secret;
    END IF;
    RETURN true;
END
$$;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE FUNCTION leaky_eq(int, int) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN PERFORM plan_leaks.leak($1); RETURN $1 = $2; END $$;
CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = leaky_eq, RESTRICT = eqsel);
CREATE PROCEDURE be_alice() LANGUAGE plpgsql AS $$ BEGIN PERFORM tenancy.act_as('93000000-0000-0000-0000-0000000000a1'); END $$;

-- Every way to scan: the index, a bitmap whose pages are lossy (BRIN knows only ranges of pages), and all rows.
SET random_page_cost = 1;
BEGIN;
CALL be_alice();
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs WHERE leak(secret);
SELECT count(*) FROM docs WHERE leak(secret);
SELECT count(*) FROM docs WHERE secret <~> 1;
SELECT count(*) FROM docs WHERE leak(secret) AND tenancy.is_member(tenant_id);
SELECT count(*) FROM docs WHERE leak(secret) OR tenancy.is_member(tenant_id);
WITH d AS (SELECT * FROM docs WHERE leak(secret)) SELECT count(*) FROM d WHERE leak(secret);
UPDATE docs SET secret = secret WHERE leak(secret);
ROLLBACK;
BEGIN;
CREATE INDEX docs_brin ON docs USING brin (tenant_id) WITH (pages_per_range = 1);
DROP INDEX docs_tenant_id_idx;
CALL be_alice();
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs WHERE leak(secret);
SELECT count(*) FROM docs WHERE leak(secret);
SELECT count(*) FROM docs WHERE secret <~> 1;
UPDATE docs SET secret = secret WHERE leak(secret);
ROLLBACK;
BEGIN;
SET LOCAL enable_seqscan = on;
DROP INDEX docs_tenant_id_idx;
CALL be_alice();
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs WHERE leak(secret);
SELECT count(*) FROM docs WHERE leak(secret);
ROLLBACK;

-- An index on what a leaky operator compares, beside the tenant's: its condition does not come first.
BEGIN;
CREATE INDEX docs_secret ON docs (secret);
CALL be_alice();
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE secret <~> 1 AND leak(id % 2 + 1);
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE secret = 1 AND leak(secret);
SELECT count(*), min(secret), max(secret) FROM docs WHERE secret = ANY ('{1, 2, 3, 4}') AND leak(secret);
ROLLBACK;

-- Restrictive and permissive policies of the application's own, sorted before ours, leave the index to ours.
BEGIN;
SET LOCAL enable_bitmapscan = off;
CREATE POLICY "!aaa" ON docs AS RESTRICTIVE USING (leak(1));
CREATE POLICY aaa ON docs USING (leak(id % 2 + 1) AND secret > 1);
CALL be_alice();
EXPLAIN (COSTS OFF) SELECT * FROM docs;
SELECT tenant_id, count(*) FROM docs GROUP BY tenant_id ORDER BY tenant_id;
ROLLBACK;

-- With an owner column the permission is one of two ways, and membership searches.
BEGIN;
SELECT tenancy.protect_table('docs', resource => 'plan_docs', mode => 'membership', owner_column => 'owner_id');
SET LOCAL enable_bitmapscan = off;
CALL be_alice();
EXPLAIN (COSTS OFF) SELECT * FROM docs;
SELECT tenant_id, count(*) FROM docs GROUP BY tenant_id ORDER BY tenant_id;
ROLLBACK;

-- In mode active the plan is that of one tenant, and permission and owner are asked once or by row.
BEGIN;
SELECT tenancy.protect_table('docs', resource => 'plan_docs', mode => 'active', owner_column => 'owner_id');
SET LOCAL enable_bitmapscan = off;
SELECT FROM tenancy.act_as(:alice, t(4));
EXPLAIN (COSTS OFF) SELECT * FROM docs;
SELECT tenant_id, count(*) FROM docs GROUP BY tenant_id;
SELECT count(*) FROM docs WHERE leak(secret - 2);
SELECT set_config('tenancy.tenant_id', t(2)::text, true) IS NOT NULL AS changed;
SELECT tenant_id, count(*) FROM docs GROUP BY tenant_id;
ROLLBACK;

-- A function of the user's own by the name of one of ours says nothing about tenants: it neither searches nor keeps
-- ours from searching.
CREATE FUNCTION has_permission(tenant uuid, permission text) RETURNS boolean LANGUAGE sql STABLE COST 10000 SET work_mem = '1MB'
    AS $$ SELECT true $$;
CREATE FUNCTION is_member(tenant uuid) RETURNS boolean LANGUAGE sql STABLE COST 10000 SET work_mem = '1MB' AS $$ SELECT tenant <> plan_leaks.t(2) $$;
CREATE FUNCTION tenant_ids() RETURNS uuid[] LANGUAGE sql STABLE SET work_mem = '1MB' AS $$ SELECT array_agg(plan_leaks.t(n)) FROM generate_series(1, 40) n $$;
BEGIN;
CALL be_alice();
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE plan_leaks.has_permission(tenant_id, 'never.registered');
SELECT count(*) FROM docs WHERE plan_leaks.has_permission(tenant_id, 'never.registered');
ROLLBACK;

-- Nor does a set of the user's own vouch for a policy that the application wrote with such a function.
CREATE TABLE apart (id int, tenant_id uuid NOT NULL);
INSERT INTO apart SELECT n, t(1 + n % 40) FROM generate_series(1, 8000) n;
CREATE INDEX ON apart (tenant_id);
ANALYZE apart;
ALTER TABLE apart ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON apart USING (plan_leaks.is_member(tenant_id));
GRANT SELECT ON apart TO authenticated;
BEGIN;
CALL be_alice();
SET LOCAL enable_bitmapscan = off;
SELECT count(*), bool_or(tenant_id = t(2)) AS sees_two FROM apart WHERE tenant_id = ANY (plan_leaks.tenant_ids());
-- The same beside a table of ours, whose plan is looked at for filters to leave out.
SELECT a.n, a.sees_two, d.n FROM (SELECT count(*) AS n, bool_or(tenant_id = t(2)) AS sees_two FROM apart WHERE tenant_id = ANY (plan_leaks.tenant_ids())) a,
       (SELECT count(*) AS n FROM docs) d;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
SET LOCAL enable_bitmapscan = on;
SELECT a.n, a.sees_two, d.n FROM (SELECT count(*) AS n, bool_or(tenant_id = t(2)) AS sees_two FROM apart WHERE tenant_id = ANY (plan_leaks.tenant_ids())) a,
       (SELECT count(*) AS n FROM docs) d;
ROLLBACK;

DROP SCHEMA plan_leaks CASCADE;
SELECT tenancy.drop_role('plan_leaks_reader', cascade => true);
DELETE FROM tenancy.permissions WHERE name LIKE 'plan\_docs.%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'plan-leaks-%';
