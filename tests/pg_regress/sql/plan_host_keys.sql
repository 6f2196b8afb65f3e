-- Columns of the host's own keys: which index is searched by the user's set, which cannot be, and that the rows are
-- those of plain SQL either way. Threats 12 and 30.
SET client_min_messages = warning;
CREATE EXTENSION btree_gist;
CREATE EXTENSION btree_gin;
CREATE SCHEMA plan_host_keys;
GRANT USAGE ON SCHEMA plan_host_keys TO authenticated;
SET search_path = plan_host_keys, public;
SET max_parallel_workers_per_gather = 0;
SET random_page_cost = 1.1;
-- Where a kind of plan is off, its cost would have the query compiled.
SET jit = off;
\set alice '''97000000-0000-0000-0000-0000000000a1'''
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('97000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
-- Numbers for the one half, names that differ by case for the other.
INSERT INTO tenancy.tenants (id, slug, name, key) SELECT t(n), 'plan-keys-' || n, 'T', n::text FROM generate_series(1, 40) n;
INSERT INTO tenancy.tenants (id, slug, name, key) SELECT t(100 + n), 'plan-keys-' || 100 + n, 'T', CASE n % 2 WHEN 0 THEN upper(k) ELSE k END FROM generate_series(1, 40) n, LATERAL (SELECT 'acme' || chr(97 + (n - 1) / 2)) x (k);
-- Keys outside integer's range, for the columns that can hold them.
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES (t(41), 'plan-keys-41', 'T', '4294967298'), (t(42), 'plan-keys-42', 'T', '-7');
CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE docs (id int PRIMARY KEY, b bigint, i integer, t text, v varchar(40), c text COLLATE "C", f text COLLATE nd, made date NOT NULL, title text);
INSERT INTO docs
SELECT n, x.b, CASE WHEN x.b BETWEEN -100 AND 100 THEN x.b END, x.t, x.t, x.t, x.t, date '2026-01-01' + n * 7919 % 400, 'd' || n
  FROM generate_series(1, 4000) n, LATERAL (SELECT CASE WHEN n % 101 = 0 THEN NULL WHEN n % 103 = 0 THEN 4294967298 WHEN n % 107 = 0 THEN -7 ELSE 1 + (n - 1) / 100 END,
       CASE WHEN n % 101 > 0 THEN (SELECT key FROM tenancy.tenants WHERE id = t(101 + (n - 1) / 100)) END) x (b, t);
CREATE TABLE base AS SELECT * FROM docs;
GRANT SELECT, UPDATE ON docs TO authenticated;
-- Alice is a member of 2 (reader), 3 (editor), 4 and of the two with keys beyond integer (reader); of acmea (reader), ACMEB (reader), acmec.
SELECT tenancy.create_permission(p) FROM unnest('{plan_keys.read, plan_keys.update}'::text[]) p;
SELECT tenancy.create_role('plan_keys_reader', '{plan_keys.read}') IS NOT NULL, tenancy.create_role('plan_keys_editor', '{plan_keys.*}') IS NOT NULL;
SELECT tenancy.add_member(t(n), :alice, r) FROM (VALUES (2, '{plan_keys_reader}'::text[]), (3, '{plan_keys_editor}'), (4, '{}'), (41, '{plan_keys_reader}'), (42, '{plan_keys_reader}'),
    (101, '{plan_keys_reader}'), (104, '{plan_keys_reader}'), (105, '{}')) v (n, r);
CREATE PROCEDURE be_alice() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.act_as('97000000-0000-0000-0000-0000000000a1');
END $$;
CREATE FUNCTION searched(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
    RETURN coalesce((SELECT string_agg(DISTINCT format('%s: %s', n ->> 'Node Type', n ->> 'Index Cond'), '; ')
                       FROM jsonb_path_query(plan::jsonb, '$.** ? (@."Index Cond" like_regex "tenant_ids|active_tenant")') n), 'no index');
END $$;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
ANALYZE docs;
-- Each column, protected by it, with each kind of index.
CREATE PROCEDURE try_kinds(col text, VARIADIC kinds text[]) LANGUAGE plpgsql AS $$
DECLARE
    kind text; q text; planner text; plan text;
    ours int[]; plain int[]; readable text[];
    different int; compared int;
BEGIN
    readable := CASE WHEN col IN ('b', 'i') THEN '{2,3,4294967298,-7}'::text[] ELSE '{acmea,ACMEB}' END;
    EXECUTE format('DROP POLICY IF EXISTS member ON docs; DROP POLICY IF EXISTS reads ON docs;
                    CREATE POLICY member ON docs AS RESTRICTIVE USING (tenancy.is_member(%1$I)); CREATE POLICY reads ON docs USING (tenancy.has_permission(%1$I, ''plan_keys.read''))', col);
    FOREACH kind IN ARRAY kinds LOOP
        EXECUTE 'CREATE INDEX tried ON docs USING ' || replace(kind, '?', col);
        PERFORM set_config('enable_seqscan', 'off', true);
        CALL be_alice();
        plan := searched('SELECT * FROM docs WHERE id > 0');
        RESET ROLE;
        different := 0;
        compared := 0;
        FOREACH q IN ARRAY ARRAY['SELECT array_agg(id ORDER BY id) FROM {}',
                'SELECT array_agg(id) FROM (SELECT id FROM {} WHERE id > 0 ORDER BY made, id LIMIT 30) x',
                'SELECT array_agg(id) FROM (SELECT id FROM {} ORDER BY made, ? COLLATE "C", id LIMIT 30) x',
                'SELECT array_agg(id) FROM (SELECT id FROM {} ORDER BY ? , made, id LIMIT 30 OFFSET 7) x',
                'SELECT array_agg(id) FROM (SELECT id FROM {} ORDER BY ? DESC NULLS LAST, made, id LIMIT 300) x',
                'SELECT array_agg(id ORDER BY id) FROM {} WHERE ? IS NULL OR ?::text > ''3''',
                'SELECT array_agg(x.id ORDER BY x.id) FROM {} JOIN {} y USING (?) WHERE y.made < ''2026-01-20''',
                'SELECT array_agg(n ORDER BY n) FROM (SELECT count(*)::int AS n FROM {} GROUP BY ?) x'] LOOP
            q := replace(CASE WHEN col IN ('b', 'i') THEN replace(q, '? COLLATE "C"', '?') ELSE q END, '?', col);
            q := replace(replace(CASE WHEN col = 'f' THEN replace(q, col || '::text', col || ' COLLATE "C"') ELSE q END, '{} JOIN', '{} x JOIN'), '{} y', '{y}');
            FOREACH planner IN ARRAY ARRAY['enable_seqscan', 'enable_indexscan', 'enable_bitmapscan', 'enable_sort', 'enable_hashjoin'] LOOP
                PERFORM set_config('enable_seqscan', 'on', true), set_config(planner, 'off', true);
                CALL be_alice();
                EXECUTE replace(replace(q, '{y}', 'docs y'), '{}', 'docs') INTO ours;
                RESET ROLE;
                EXECUTE replace(replace(replace(q, '{y}', '{} y'), '{} x', '{}x'), '{}', format('(SELECT * FROM base WHERE %I::text COLLATE "C" = ANY (%L)) ', col, readable) || CASE WHEN q LIKE '%{} x%' OR q LIKE '%{y}%' THEN '' ELSE 'b' END) INTO plain;
                PERFORM set_config(planner, 'on', true);
                compared := compared + 1;
                IF ours IS DISTINCT FROM plain THEN
                    different := different + 1;
                    RAISE WARNING '% is off, column %, index %, differs: %: % %', planner, col, kind, q, ours, plain;
                END IF;
            END LOOP;
        END LOOP;
        IF kind ~ '^(btree|brin|gin) .made, \?' AND current_setting('server_version_num')::int >= 170000 THEN
            plan := 'no index';
        END IF;
        RAISE WARNING '% %: % of % different | %', col, kind, different, compared, plan;
        DROP INDEX tried;
    END LOOP;
END $$;
\set VERBOSITY terse
SELECT set_config('host.kinds', '{btree (?),"btree (?, made)","btree (?) INCLUDE (id)","btree (?) WHERE made >= ''2026-01-01''","brin (?)","brin (made, ?)",gin (?),hash (?),gist (?),"gist (made, ?)","btree (made, ?)","btree (? DESC NULLS LAST, made DESC)"}', false) IS NOT NULL;
CALL try_kinds('b', VARIADIC current_setting('host.kinds')::text[]);
CALL try_kinds('i', 'btree (?)', 'btree (?, made)', 'brin (?)', 'gin (?)', 'gist (made, ?)', 'btree (made, ?)', 'btree ((?::bigint))');
CALL try_kinds('t', VARIADIC current_setting('host.kinds')::text[] || ARRAY['btree (? COLLATE "C")', 'btree (? text_pattern_ops)', 'btree (? COLLATE nd)', 'btree (? COLLATE nd, made)', 'hash (? COLLATE nd)', 'btree (lower(?))', 'spgist (?)', 'brin (? text_bloom_ops)']);
CALL try_kinds('v', 'btree (?)', 'btree (?, made)', 'brin (?)', 'gin (?)', 'gist (made, ?)', 'btree (made, ?)', 'btree (? COLLATE nd)', 'btree (? varchar_pattern_ops)', 'btree ((?::text))');
CALL try_kinds('c', 'btree (?)', 'btree (? COLLATE "default")', 'btree (? COLLATE nd)', 'btree (made, ?)', 'gin (?)', 'gist (?)', 'brin (?)');
-- A column whose equality matches more than the same bytes is compared by its bytes, and searched by no index but one that does so too.
CALL try_kinds('f', 'btree (?)', 'btree (? COLLATE "C")', 'btree (?, made)', 'hash (?)', 'brin (?)');
\set VERBOSITY default

-- The plans themselves: no filter beside the condition, no subplan, no function run per row.
CREATE INDEX docs_b ON docs (b);
CREATE INDEX docs_i ON docs (i);
CREATE INDEX docs_t ON docs (t);
CREATE INDEX docs_v ON docs (v);
VACUUM ANALYZE docs;
DROP POLICY member ON docs;
DROP POLICY reads ON docs;
CREATE POLICY member ON docs AS RESTRICTIVE USING (tenancy.is_member(b));
CREATE POLICY reads ON docs USING (tenancy.has_permission(b, 'plan_keys.read'));
BEGIN;
CALL be_alice();
EXPLAIN (COSTS OFF) SELECT * FROM docs;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM docs;
EXPLAIN (COSTS OFF) SELECT b FROM docs;
EXPLAIN (COSTS OFF) UPDATE docs SET title = title;
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE b = 3;
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE b = 3::bigint;
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE b IN (3, 5);
PREPARE by_key(bigint) AS SELECT count(*) FROM docs WHERE b = $1;
SET LOCAL plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_key(3);
EXECUTE by_key(3); EXECUTE by_key(5);
SET LOCAL tenancy.index_max_set = 1;
SELECT searched('SELECT * FROM docs'), count(*) FROM docs;
ROLLBACK;
DEALLOCATE ALL;
ALTER TABLE docs DISABLE ROW LEVEL SECURITY;
BEGIN;
SELECT tenancy.act_as(:alice, db_role => current_user::text);
SET LOCAL enable_seqscan = off;
CREATE FUNCTION pg_temp.both(where_clause text) RETURNS TABLE (condition text, rows int, plain int) LANGUAGE plpgsql AS $$
BEGIN
    condition := searched('SELECT * FROM docs WHERE ' || where_clause);
    EXECUTE 'SELECT count(*) FROM docs WHERE ' || where_clause INTO rows;
    -- OFFSET 0 keeps the planner from pushing anything down to the index.
    EXECUTE 'SELECT count(*) FROM (SELECT * FROM docs OFFSET 0) d WHERE ' || where_clause INTO plain;
    RETURN NEXT;
END $$;
SELECT n, w, b.* FROM unnest(ARRAY['tenancy.is_member(b)', 'tenancy.is_member(i)', 'tenancy.is_member(t)', 'tenancy.is_member(v)', 'tenancy.has_permission(t, ''plan_keys.read'')', 'tenancy.has_permission(v, ''plan_keys.read'')',
    'tenancy.has_permission(i, ''plan_keys.update'')', 'tenancy.has_any_permission(b, ''{plan_keys.update}'')', 'tenancy.has_all_permissions(t, ''{plan_keys.read}'')', 'tenancy.is_member_or_operator(b, ''read'')', 'tenancy.is_member_or_operator(t, ''read'')',
    'tenancy.is_active_or_operator(b, ''read'')', 'tenancy.has_role(b, ''plan_keys_editor'')', 'tenancy.has_permission(t, title)', 'tenancy.has_permission(t, t)', 'tenancy.is_member(i::bigint)', 'tenancy.is_member(b::text)',
    'tenancy.is_member(b) AND tenancy.is_member(t)', 'tenancy.is_member(t) AND tenancy.has_permission(t)', 'tenancy.is_member(b) AND b = ANY (tenancy.tenant_ids(NULL::integer))', 'tenancy.is_member(b) AND tenancy.has_permission(b, ''plan_keys.update'')',
    'tenancy.is_member(t) AND t = ''acmea''', 'tenancy.is_member(b) AND b = 2::int', 'tenancy.is_member(b) IS NOT TRUE', 'NOT tenancy.is_member(t)', 'tenancy.is_member(t COLLATE nd)', 'tenancy.is_member(f)', 'tenancy.is_member(t) AND t COLLATE nd = ''ACMEA''']) WITH ORDINALITY u (w, n), pg_temp.both(w) b ORDER BY n;
ROLLBACK;

-- Whoever has an index under a collation by which different keys are equal, and words a query so that it is searched,
-- sees no more than his tenants' rows: such a condition vouches for no policy.
CREATE TABLE other (id int, t text);
INSERT INTO other SELECT n, 'x' || n FROM generate_series(1, 2000) n;
INSERT INTO other VALUES (1, 'acmea');
CREATE INDEX ON other (t);
CREATE INDEX docs_nd ON docs (t COLLATE nd);
DROP INDEX docs_t;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
ALTER TABLE other ENABLE ROW LEVEL SECURITY;
DROP POLICY member ON docs;
DROP POLICY reads ON docs;
CREATE POLICY member ON docs USING (tenancy.is_member(t));
CREATE POLICY member ON other USING (tenancy.is_member(t));
GRANT SELECT ON other TO authenticated;
ANALYZE docs, other;
BEGIN;
CALL be_alice();
SET LOCAL enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT d.t FROM docs d, other WHERE d.t COLLATE nd = ANY (tenancy.tenant_ids(NULL::text));
SELECT DISTINCT d.t COLLATE "C" FROM docs d, other WHERE d.t COLLATE nd = ANY (tenancy.tenant_ids(NULL::text));
SET LOCAL enable_bitmapscan = off;
SELECT DISTINCT d.t COLLATE "C" FROM docs d, other WHERE d.t COLLATE nd = ANY (tenancy.tenant_ids(NULL::text));
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = on;
SELECT DISTINCT d.t COLLATE "C" FROM docs d, other WHERE d.t COLLATE nd = ANY (tenancy.tenant_ids(NULL::text));
ROLLBACK;

-- Partitions by the key: each is searched, and nothing is lost.
CREATE TABLE parts (id int, t bigint NOT NULL, n text NOT NULL) PARTITION BY LIST (t);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES IN (3, 4) PARTITION BY HASH (n);
CREATE TABLE parts_3_0 PARTITION OF parts_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_3_1 PARTITION OF parts_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT n, 1 + n % 40, 'n' || n FROM generate_series(1, 4000) n;
CREATE INDEX ON parts (t);
ALTER TABLE parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY reads ON parts USING (tenancy.has_permission(t, 'plan_keys.read'));
GRANT SELECT ON parts TO authenticated;
VACUUM ANALYZE parts;
BEGIN;
CALL be_alice();
SET LOCAL enable_bitmapscan = off;
SELECT t, count(*) FROM parts GROUP BY t ORDER BY t;
SELECT t, count(*) FROM parts WHERE t IN (1, 3, 40) GROUP BY t ORDER BY t;
SELECT count(*) FROM parts a JOIN parts b USING (t) WHERE a.id < 400;
SELECT array_agg(id) FROM (SELECT id FROM parts ORDER BY t DESC, id LIMIT 5) x;
ROLLBACK;

DROP SCHEMA plan_host_keys CASCADE;
SELECT tenancy.drop_role(r, cascade => true) FROM unnest('{plan_keys_reader, plan_keys_editor}'::text[]) r;
DELETE FROM tenancy.permissions WHERE name LIKE 'plan\_keys.%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'plan-keys-%';
DROP EXTENSION btree_gist;
DROP EXTENSION btree_gin;
